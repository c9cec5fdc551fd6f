"""Both colours' figures over a window, read from their own endpoints."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from mina_ops.errors import OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.release.model import Figures
from mina_ops.operator.release.statistics import Z_PER_LOOK

# A few fixed windows: each is kept in the app's memory once somebody asked for it.
WINDOWS_SECONDS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 120, 180, 300)
# A look counts over these windows too, where they are shorter than its own.
RECENT_SECONDS = (7, 15, 60)
_NEEDED = (("errors", "requests"), ("histogram", "histogram_ms"), ("websockets", "attempts"))
# Below this a P95 has no upper bound at Z_PER_LOOK, so the baseline is the better comparison.
ENOUGH_FOR_P95 = int(19 * Z_PER_LOOK**2) + 1


def look(new: AppClient, old: AppClient, seconds: float) -> tuple[Figures, Figures]:
    """Both colours' figures over at most the last `seconds`, read side by side.

    The window is the longest of `WINDOWS_SECONDS` that is no longer than that, so that nothing
    from before the last change of shares is counted; below a second it is one second.
    A colour that does not answer is a figure with a `fault`, never an error. Blocks up to the
    client's time limit.
    """
    window = max((w for w in WINDOWS_SECONDS if w <= seconds), default=WINDOWS_SECONDS[0])
    recent = tuple(w for w in RECENT_SECONDS if w < window)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(figures, client, window, recent) for client in (new, old)]
        return both[0].result(), both[1].result()


def figures(client: AppClient, window: int, recent: Sequence[int] = ()) -> Figures:
    """One colour's figures over `window` seconds, and its counts over the `recent` windows."""
    try:
        health = client.health()
        found = _counts(client, window)
        shorter = tuple(_counts(client, seconds) for seconds in recent)
    except OperatorError as error:
        return Figures(fault=str(error))
    database = _check(health.checks, "database")
    return replace(
        found,
        database=database.get("status"),
        database_ms=database.get("latency_ms"),
        database_at=time.monotonic() - float(database.get("age_seconds") or 0.0),
        ai=_check(health.checks, "openai").get("status"),
        stale=any(counts.stale for counts in (found, *shorter)),
        recent=shorter,
    )


def _counts(client: AppClient, window: int) -> Figures:
    errors = client.metric("errors", window_seconds=window)
    durations = client.metric("histogram", window_seconds=window)
    sockets = client.metric("websockets", window_seconds=window)
    return Figures(
        requests=int(errors.get("requests") or 0),
        errors=int(errors.get("errors") or 0),
        histogram=tuple(
            (float(ms), float(count)) for ms, count in durations.get("histogram_ms", ())
        ),
        websocket_attempts=int(sockets.get("attempts") or 0),
        websocket_failures=_failures(sockets),
        stale=any(body.get("stale") for body in (errors, durations, sockets)),
    )


def with_baseline(old: Figures, baseline: Figures | None) -> Figures:
    """The old colour's figures; its durations from before the switch once few reach it."""
    if baseline is None:
        return old
    recent = tuple(with_baseline(counts, baseline) for counts in old.recent)
    samples = sum(count for _, count in old.histogram)
    histogram = old.histogram if samples >= ENOUGH_FOR_P95 else baseline.histogram
    return replace(old, histogram=histogram, recent=recent)


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


def _check(checks: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    body = checks.get(name)
    return body if isinstance(body, Mapping) else {}


def _failures(body: Mapping[str, Any]) -> int:
    failures = body.get("failures") or 0
    return sum(failures.values()) if isinstance(failures, Mapping) else int(failures)
