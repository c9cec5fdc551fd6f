"""Checks that each address of mina-ops.toml is answered by the colour that the file says.

Swapped addresses of blue and green look healthy in every other way: both answer, both are ready,
and then every session's id leads to the wrong process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.model import Split

_VERBOSE = "/api/health?verbose"
_HEADER = "X-Mina-Environment"


def stranger(colour: Colour, url: str, environment: str | None) -> str | None:
    """A sentence about an answer that is not this colour's; None: it is, or does not say."""
    if environment is None or environment in (colour.name, *colour.aliases):
        return None
    return (
        f"{url} answers as {environment!r}, where mina-ops.toml has {colour.name}. Are addresses "
        "or names swapped? ENVIRONMENT says there who it is."
    )


def problems(settings: OperatorSettings, split: Split | None) -> list[str]:
    """What does not answer as who it should be: both colours, each instance, the public address.

    Args:
        split: what is served now, which says who may answer in public; None: not known.

    Blocks up to 4 seconds, in parallel.
    """
    asks: list[Callable[[], str | None]] = [
        _asking(colour, url, instance)
        for colour in settings.colours.values()
        for url, instance in _addresses(colour)
    ]
    asks.append(lambda: _public(settings, split))
    with ThreadPoolExecutor(max_workers=len(asks)) as pool:
        return [found for found in pool.map(lambda ask: ask(), asks) if found]


def _addresses(colour: Colour) -> Iterator[tuple[str, str | None]]:
    yield colour.url, None
    for name, url in colour.processes.items():
        yield url, name


def _asking(colour: Colour, url: str, instance: str | None) -> Callable[[], str | None]:
    def ask() -> str | None:
        name = colour.name if instance is None else f"{colour.name} instance {instance}"
        try:
            with AppClient(name, url) as client:
                _, body, headers = client.exchange("GET", _VERBOSE)
        except OperatorError as error:
            return str(error)
        if _HEADER not in headers:
            return f"{url}, the address of {name}, answers, but not as an app with mina_ops in it."
        if found := stranger(colour, url, headers[_HEADER]):
            return found
        said = body.get("instance") if isinstance(body, dict) else None
        if instance is not None and said not in (None, instance):
            return (
                f"{url} calls itself instance {said!r}, where mina-ops.toml has {name}: its "
                f"session ids lead elsewhere. Set MINA_OPS_INSTANCE={instance} there."
            )
        return None

    return ask


def _public(settings: OperatorSettings, split: Split | None) -> str | None:
    """What is wrong with the answer of the public address."""
    url = settings.public_url
    try:
        with AppClient("The public address", url) as client:
            environment = client.exchange("GET", "/api/health/ready")[2].get(_HEADER)
    except OperatorError as error:
        return f"public.url: {error}"
    if environment is None:
        return f"public.url: {url} answers, but not as an app with mina_ops in it."
    try:
        colour = settings.colour(environment).name
    except ConfigurationError:
        return f"public.url: {url} answers as {environment!r}, which is no colour of this file."
    if split is not None and not split.serves(colour):
        return (
            f"public.url: {url} answers as {colour}, which has no share ({split.describe()}). "
            "Is it the address of this load balancer?"
        )
    return None
