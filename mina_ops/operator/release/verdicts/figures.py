"""Both colours' figures over a window, read from their own endpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mina_ops.errors import AppUnreachable, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.release.verdicts.latency import TO_COMPARE
from mina_ops.operator.release.verdicts.model import Figures, Handshakes, Tally, Triggers
from mina_ops.operator.release.verdicts.statistics import samples

# A few fixed windows: each is kept in the app's memory once somebody asked for it.
WINDOWS_SECONDS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 120, 180, 300),
    *(450, 600, 900, 1200, 1800, 2700, 3600),
)
# A look counts over these windows too, where they are shorter than its own.
RECENT_SECONDS = (7, 15, 60)
BASELINE_SECONDS = (900, 3600)
ENDPOINTS = ("errors", "histogram", "websockets")
"""Below /api/metrics/: what every look reads."""

_NEEDED = (("errors", "requests"), ("histogram", "histogram_ms"), ("websockets", "attempts"))

Numbers = Callable[[AppClient], Mapping[str, float | str | None]]


@dataclass(frozen=True)
class Wanted:
    """What is read besides the playbook's figures: the host's outcomes, and further numbers."""

    outcomes: Sequence[str] = ()
    numbers: Numbers = field(default=lambda app: {})

    @classmethod
    def by(cls, triggers: Triggers, numbers: Numbers | None = None) -> Wanted:
        """What these triggers need."""
        names = tuple(trigger.outcome for trigger in triggers.outcomes)
        return cls(names) if numbers is None else cls(names, numbers)


def window_of(seconds: float) -> int:
    """The longest of `WINDOWS_SECONDS` that is no longer than that; below a second, one second.

    So nothing from before the last change of shares is counted.
    """
    return max((w for w in WINDOWS_SECONDS if w <= seconds), default=WINDOWS_SECONDS[0])


def look(
    new: AppClient, old: AppClient, seconds: float, wanted: Wanted | None = None
) -> tuple[Figures, Figures]:
    """Both colours' figures over at most the last `seconds`, read side by side.

    A colour that does not answer is a figure with a `fault`, never an error. Blocks up to the
    client's time limit for each request.
    """
    window = window_of(seconds)
    recent = tuple(w for w in RECENT_SECONDS if w < window)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(figures, client, window, recent, wanted) for client in (new, old)]
        return both[0].result(), both[1].result()


def figures(
    client: AppClient, window: int, recent: Sequence[int] = (), wanted: Wanted | None = None
) -> Figures:
    """One colour's figures over `window` seconds, and its counts over the `recent` windows."""
    further = wanted or Wanted()
    try:
        health = client.health()
        found = _counts(client, window)
        shorter = tuple(_counts(client, seconds) for seconds in recent)
        outcomes = {name: _outcome(client, name, window) for name in further.outcomes}
    except OperatorError as error:
        return Figures(fault=str(error))
    database = _check(health.checks, "database")
    return replace(
        found,
        outcomes=outcomes,
        numbers=further.numbers(client),
        database=database.get("status"),
        database_ms=database.get("latency_ms"),
        database_at=time.monotonic() - float(database.get("age_seconds") or 0.0),
        ai=_check(health.checks, "openai").get("status"),
        stale=any(counts.stale for counts in (found, *shorter)),
        recent=shorter,
    )


def baseline(client: AppClient, wanted: Wanted | None = None) -> Figures:
    """A colour's figures of the last quarter of an hour; of the last hour where that is quiet."""
    short, long = BASELINE_SECONDS
    found = figures(client, short, wanted=wanted)
    quiet = found.fault is None and found.requests < TO_COMPARE
    return figures(client, long, wanted=wanted) if quiet else found


def _counts(client: AppClient, window: int) -> Figures:
    errors = client.metric("errors", window_seconds=window)
    durations = client.metric("histogram", window_seconds=window)
    sockets = client.metric("websockets", window_seconds=window)
    return Figures(
        seconds=float(window),
        requests=int(errors.get("requests") or 0),
        errors=int(errors.get("errors") or 0),
        histogram=_pairs(durations.get("histogram_ms") or ()),
        reads=_pairs(durations["reads_ms"]) if "reads_ms" in durations else None,
        handshakes=handshakes(sockets),
        stale=any(body.get("stale") for body in (errors, durations, sockets)),
        read_at=_moment(durations.get("generated_at")),
    )


def _pairs(found: Iterable[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(ms), float(count)) for ms, count in found)


def _moment(told: object) -> float | None:
    """Unix seconds of an answer's time; None where an app of another version tells none."""
    try:
        return datetime.fromisoformat(str(told)).timestamp()
    except ValueError:
        return None


def of_reads(found: Figures) -> Figures:
    """The same figures, with the durations of GETs and HEADs alone, where they are known."""
    if found.reads is None:
        return found
    recent = tuple(of_reads(shorter) for shorter in found.recent)
    return replace(found, histogram=found.reads, recent=recent)


def handshakes(body: Mapping[str, Any]) -> Handshakes:
    """What `/api/metrics/websockets` says; without word of who is to blame, the server is."""
    attempts = int(body.get("attempts") or 0)
    accepted = int(body.get("accepted") or 0)
    failed, clients = body.get("failed_by_server"), body.get("failing_clients")
    if failed is None:
        return Handshakes(accepted, failed=attempts - accepted)
    return Handshakes(accepted, failed, refused=attempts - accepted - failed, clients=clients)


def _outcome(client: AppClient, name: str, window: int) -> Tally:
    """An outcome's tally; nothing where no process has such an outcome yet."""
    try:
        body = client.metric(f"outcomes/{name}", window_seconds=window)
    except AppUnreachable:
        return Tally()
    failed = int(body.get("failures") or 0)
    return Tally(failed, failed + int(body.get("successes") or 0))


def with_baseline(old: Figures, before: Figures | None) -> Figures:
    """The old colour's figures; where few reached it, its durations of a longer or earlier time.

    A short window takes those of the whole step, which are as much of the present. Those from
    before the last change of shares come last, and say how old they are.
    """
    now = _with_durations(old, before, old)
    enough = samples(old.histogram) >= TO_COMPARE
    return replace(
        now,
        recent=tuple(
            replace(shorter, histogram=old.histogram)
            if enough and samples(shorter.histogram) < TO_COMPARE
            else _with_durations(shorter, before, old)
            for shorter in old.recent
        ),
    )


def _with_durations(old: Figures, before: Figures | None, read: Figures) -> Figures:
    """`old`, with the durations of `before` if it has too few; `read` says when it was read."""
    if before is None or samples(old.histogram) >= TO_COMPARE or not before.histogram:
        return old
    age = (before.seconds - old.seconds) / 2  # from the middle of a window to that of the other
    if read.read_at is not None and before.read_at is not None:
        age += read.read_at - before.read_at
    return replace(old, histogram=before.histogram, age_seconds=max(0.0, age))


def missing_figures(client: AppClient) -> list[str]:
    """The endpoints that a trigger needs and that this colour does not have; [] if all are there.

    Raises:
        AppUnreachable: the colour does not answer at all.
    """
    client.health()
    missing = []
    for name, key in _NEEDED:
        try:
            found = key in client.metric(name, window_seconds=60)
        except OperatorError:
            found = False
        if not found:
            missing.append(f"/api/metrics/{name}")
    return missing


def to_json(found: Figures) -> dict[str, Any]:
    """Figures as the journal keeps them; `from_json` reads them again."""
    shaken = found.handshakes
    return {
        "seconds": found.seconds,
        "requests": found.requests,
        "errors": found.errors,
        "histogram": [list(pair) for pair in found.histogram],
        "reads": None if found.reads is None else [list(pair) for pair in found.reads],
        "handshakes": [shaken.accepted, shaken.failed, shaken.refused, shaken.clients],
        "outcomes": {name: list(tally) for name, tally in found.outcomes.items()},
        "numbers": dict(found.numbers),
        "database": found.database,
        "database_ms": found.database_ms,
        "ai": found.ai,
        "fault": found.fault,
        "read_at": found.read_at,
    }


def from_json(raw: Mapping[str, Any]) -> Figures:
    """The figures that `to_json` wrote; what is missing is as if it was never read."""
    return Figures(
        seconds=float(raw.get("seconds") or 0.0),
        requests=int(raw.get("requests") or 0),
        errors=int(raw.get("errors") or 0),
        histogram=_pairs(raw.get("histogram") or ()),
        reads=None if raw.get("reads") is None else _pairs(raw["reads"]),
        handshakes=Handshakes(*(raw.get("handshakes") or ())),
        outcomes={name: Tally(*pair) for name, pair in (raw.get("outcomes") or {}).items()},
        numbers=raw.get("numbers") or {},
        database=raw.get("database"),
        database_ms=raw.get("database_ms"),
        ai=raw.get("ai"),
        fault=raw.get("fault"),
        read_at=raw.get("read_at"),
    )


def _check(checks: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    body = checks.get(name)
    return body if isinstance(body, Mapping) else {}
