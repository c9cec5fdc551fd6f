"""Whether a colour may get traffic: every process of it that can be asked says it is ready."""

from __future__ import annotations

from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor

from mina_ops.errors import AppUnhealthy, AppUnreachable, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.traffic.identity import stranger


def require_ready(colour: Colour) -> None:
    """Return if the colour and each instance that the file lists answer ready, as that colour.

    Raises:
        AppUnreachable: one of them does not answer.
        AppUnhealthy: one of them is not ready; the message says which and why.
    """
    problems = _problems(colour)
    if problems:
        kind = AppUnhealthy if any(isinstance(p, AppUnhealthy) for p in problems) else None
        raise (kind or AppUnreachable)(" ".join(str(problem) for problem in problems))


def require_some_ready(colour: Colour, *, tolerated: Container[str] = ()) -> list[str]:
    """What is wrong with those that are not ready, as long as one process of the colour is.

    For a way back in need: the load balancer asks another server when one does not answer.

    Args:
        tolerated: reasons that do not count where they are the only one, such as "drained".

    Raises:
        AppUnreachable, AppUnhealthy: none of them is ready.
    """
    problems = _problems(colour, tolerated)
    if len(problems) == len(list(_targets(colour))):
        raise problems[0]
    return [str(problem) for problem in problems]


def addresses(colour: Colour) -> list[tuple[str, str]]:
    """Name and address of the colour and of each of its instances that can be asked for itself."""
    return list(_targets(colour))


def _problems(colour: Colour, tolerated: Container[str] = ()) -> list[OperatorError]:
    targets = list(_targets(colour))
    with ThreadPoolExecutor(max_workers=len(targets)) as pool:
        found = pool.map(lambda target: _problem(colour, target, tolerated), targets)
        return [problem for problem in found if problem]


def _targets(colour: Colour) -> Iterator[tuple[str, str]]:
    yield colour.name, colour.url
    for name, url in colour.processes.items():
        if url != colour.url:
            yield f"{colour.name} instance {name}", url


def _problem(
    colour: Colour, target: tuple[str, str], tolerated: Container[str]
) -> OperatorError | None:
    name, url = target
    try:
        with AppClient(name, url) as client:
            readiness = client.ready()
    except OperatorError as error:
        return error
    if somebody := stranger(colour, url, readiness.environment):
        return AppUnhealthy(somebody)
    if readiness.ready or readiness.reason in tolerated:
        return None
    return AppUnhealthy(f"{name} is not ready ({readiness.reason}) at {url}/api/health/ready.")
