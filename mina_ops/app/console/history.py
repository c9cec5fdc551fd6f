"""The last hour of both colours, one point for each minute; read while somebody looks.

The slices of 10 s that metrics keep for an hour hold it all but the live sessions; of those one
process of a colour leaves a sample each minute. What was read is kept, so that an open page costs
the store one minute a minute, and the first look at most `_MINUTES_A_BEAT` minutes each beat.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mina_ops.app.metrics import answers, windows
from mina_ops.app.metrics.views import View
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store

Point = dict[str, Any]

STEP_SECONDS = 60
_MINUTES = 60
_MINUTES_A_BEAT = 6
_KEEP_SECONDS = 3720.0
_SETTLED_SECONDS = 5.0
"""A minute is read when every process has surely stored what it counted in it."""


class History:
    """Points by their minute; safe for threads."""

    def __init__(self, store: Store, colours: list[str]) -> None:
        self._store = store
        self._colours = colours
        self._points: dict[int, Point] = {}
        self._sampled = 0

    def points(self, after: float) -> list[Point]:
        """The points that begin after a moment, oldest first."""
        return [point for at, point in sorted(self._points.items()) if at > after]

    def sample(self, now: float, environment: str, sessions: Callable[[], int]) -> None:
        """Leave the live sessions of a colour for this minute, unless another process has."""
        minute = _minute(now)
        if minute == self._sampled:
            return
        value = json.dumps({"sessions": sessions()}).encode()
        self._store.put_new(keys.minute(environment, minute), value, ttl_seconds=_KEEP_SECONDS)
        self._sampled = minute

    def beat(self, now: float) -> None:
        """Read minutes that are missing, the newest first; raises StateUnavailable."""
        last = _minute(now - _SETTLED_SECONDS) - STEP_SECONDS
        wanted = range(last, last - _MINUTES * STEP_SECONDS, -STEP_SECONDS)
        # Made anew and put in place at once: requests read it meanwhile, and one may read the
        # store beside this beat.
        points = {at: point for at, point in self._points.copy().items() if at in wanted}
        for minute in [minute for minute in wanted if minute not in points][:_MINUTES_A_BEAT]:
            points[minute] = self._read(minute)
        self._points = points

    def _read(self, minute: int) -> Point:
        point: Point = {"at": minute}
        for colour in self._colours:
            slices = [
                keys.metrics_slice(colour, start, windows.COARSE_SECONDS)
                for start in range(minute, minute + STEP_SECONDS, windows.COARSE_SECONDS)
            ]
            view = View(self._store.totals(slices), float(minute), float(STEP_SECONDS))
            raw = self._store.get(keys.minute(colour, minute))
            if view.amounts or raw is not None:
                point[colour] = _values(view, None if raw is None else json.loads(raw))
        _add_shares([point[colour] for colour in self._colours if colour in point])
        return point


def _values(view: View, sample: dict[str, Any] | None) -> Point:
    speed = answers.performance(view)
    return {
        "requests_per_second": speed["requests_per_second"],
        "error_rate": answers.errors(view.amounts)["error_rate"],
        "p95_ms": speed["p95_ms"],
        "handshakes": answers.websockets(view.amounts)["connection_success_rate"],
        "sessions": None if sample is None else sample["sessions"],
    }


def _add_shares(points: list[Point]) -> None:
    """Which share of the minute's requests each colour served, in percent; None: nobody asked."""
    rates = [point["requests_per_second"] or 0.0 for point in points]
    total = sum(rates)
    for point, rate in zip(points, rates, strict=True):
        point["share"] = round(100 * rate / total, 1) if total else None


def _minute(moment: float) -> int:
    return int(moment // STEP_SECONDS) * STEP_SECONDS
