"""The probes: paths, queries and statuses of everything below `/api/health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mina_ops.app.health.report import HEALTH_JSON
from mina_ops.app.web.answers import Answer, Probe, ProbeRequest
from mina_ops.errors import NotFound

if TYPE_CHECKING:
    from mina_ops.app.health.component import Health

PREFIX = "/api/health"
RETRY_SECONDS = "1"


@dataclass(frozen=True)
class Wish:
    """What a caller asks for, read from the query and the `Accept` header."""

    verbose: bool = False
    excluded: frozenset[str] = frozenset()
    group: str | None = None
    ietf: bool = False


def wish_of(request: ProbeRequest) -> Wish:
    """Read `?verbose`, `?exclude=name` (repeated, or a list with commas), `?group=`, `Accept`."""
    ietf = HEALTH_JSON in (request.header("Accept") or "")
    query = request.environ.get("QUERY_STRING")
    if not query:
        return Wish(ietf=ietf)
    pairs = parse_qsl(query, keep_blank_values=True)
    last = dict(pairs)
    names = [name for key, value in pairs if key == "exclude" for name in value.split(",")]
    return Wish(
        verbose=last.get("verbose", "0").lower() not in ("0", "false", "no"),
        excluded=frozenset(name.strip() for name in names if name.strip()),
        group=last.get("group") or None,
        ietf=ietf,
    )


def answer(fit: bool, body: object, *, content_type: str | None = None) -> Answer:
    """200, or 503 with `Retry-After`; its form depends on `Accept`."""
    headers = {"Vary": "Accept"} if fit else {"Vary": "Accept", "Retry-After": RETRY_SECONDS}
    more = {"content_type": content_type} if content_type else {}
    return Answer(200 if fit else 503, body, headers, **more)


def probes(health: Health) -> Mapping[str, Probe]:
    """Path -> probe; the last one takes every path below."""
    fixed: dict[str, Callable[[ProbeRequest], Answer]] = {
        PREFIX: health.overview,
        f"{PREFIX}/live": health.live,
        f"{PREFIX}/ready": health.ready,
        f"{PREFIX}/started": health.is_started,
    }

    def below(request: ProbeRequest) -> Answer:
        path = request.path.rstrip("/")
        probe = fixed.get(path)
        if probe is not None:
            return probe(request)
        return health.component(path.removeprefix(f"{PREFIX}/"), request)

    return {**fixed, f"{PREFIX}/": below}


def unknown_check(name: str, known: list[str]) -> NotFound:
    """The error of a path or group that names nothing."""
    return NotFound(f"No health check {name[:40]!r}; there are {', '.join(known)}.")
