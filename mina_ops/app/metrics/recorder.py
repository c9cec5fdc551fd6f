"""Collects what this process counts: from a request's thread to amounts that can be stored.

The request's thread looks up a deque by what was served and appends its seconds, and does nothing
else. Appending to a deque and taking from its other end are atomic (Python's library reference,
`collections.deque`), so that no lock is needed there. The heartbeat folds what waits.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from mina_ops.app.forks import call_in_children
from mina_ops.app.metrics import fields
from mina_ops.app.metrics.histogram import buckets
from mina_ops.app.metrics.labels import is_error, method_label, status_label
from mina_ops.app.metrics.outcome_rules import OutcomeRules, Told

# Upper bounds in seconds; OpenTelemetry's advice for http.server.request.duration.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_READS = ("GET", "HEAD")
MOST_SERIES = 1000
MOST_WAITING = 20_000  # durations of a series; a bound, for a heartbeat that hangs
_FOLD_AT = 1024  # waiting events

_T = TypeVar("_T")
_Served = tuple[str, str | None, str]  # method, route if one matched, status line
_Labels = tuple[str, str, str]


@dataclass(eq=False)
class _Series:
    """Requests with the same method, status and route."""

    labels: _Labels
    error: bool
    told: Told | None = None
    waiting: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    bounds: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(frozen=True)
class Counted:
    """Amounts of fields: `recent` belongs to time slices, `total` only grows."""

    recent: Mapping[str, float]
    total: Mapping[str, float]


class Durations(dict[_Served, deque[float]]):
    """Requests that are not folded yet: what was served -> seconds. Any key has a deque."""

    def __init__(self, admit: Callable[[_Served], deque[float]]) -> None:
        super().__init__()
        self._admit = admit

    def __missing__(self, served: _Served) -> deque[float]:
        return self._admit(served)


class Recorder:
    """Counts requests and events of one process; safe for any number of threads.

    Args:
        rules: which requests tell outcomes.
        tell: called with each of them when requests are folded, not on a request's path.
    """

    def __init__(
        self, rules: OutcomeRules | None = None, tell: Callable[[str, bool], None] | None = None
    ) -> None:
        self._rules = rules or OutcomeRules()
        self._tell = tell
        self.durations = Durations(self._admit)
        """Append a request's seconds to `durations[method, route, status line]`."""
        self.clear()
        call_in_children(self.clear)

    def count(self, name: str) -> None:
        """Count one event; `name` is a field's name of bounded variety."""
        self._events.append(name)
        if len(self._events) >= _FOLD_AT and self._folding.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._folding.release()

    def take(self) -> Counted:
        """What was counted since the last call; nobody else gets it again."""
        with self._folding:
            self._fold()
            counted = self._amounts()
            self._forget()
        return counted

    def clear(self) -> None:
        """Start from nothing, as a forked child must: the parent stores what it counted."""
        self._folding = threading.Lock()
        self.durations.clear()
        self._series: dict[_Labels, _Series] = {}
        self._events: deque[str] = deque()
        self._forget()

    def _forget(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._changing: Counter[int] = Counter()
        self._counts: Counter[str] = Counter()
        self._errors = 0
        for series in self._series.values():
            series.bounds = Counter()
            series.seconds = 0.0

    def _admit(self, served: _Served) -> deque[float]:
        """Where a new combination waits; beyond `MOST_SERIES` the route becomes `_OTHER`."""
        method, route, status = served
        labels = (method_label(method), status_label(status), route or "")
        told = self._rules.of_request(method, route, status)
        with self._folding:
            if told is None and labels not in self._series and len(self._series) >= MOST_SERIES:
                labels = (labels[0], labels[1], fields.OTHER)
            new = _Series(labels, is_error(status), told)
            series = self._series.setdefault(labels, new)
            if len(self.durations) >= 4 * MOST_SERIES:
                self.durations.clear()  # a flood of methods that do not exist
            self.durations[served] = series.waiting
        return series.waiting

    def _fold(self) -> None:
        for series in self._series.values():
            batch = sorted(_taken(series.waiting))
            if batch:
                found = buckets(batch)
                self._buckets.update(found)
                if series.labels[0] not in _READS:
                    self._changing.update(found)
                series.bounds.update(_by_bound(batch))
                series.seconds += sum(batch)
                self._errors += len(batch) if series.error else 0
                self._tell_outcome(series.told, len(batch))
        self._counts.update(_taken(self._events))

    def _tell_outcome(self, told: Told | None, times: int) -> None:
        if told is None:
            return
        self._counts[fields.outcome(*told)] += times
        for _ in range(times if self._tell else 0):
            self._tell(*told)  # type: ignore[misc]

    def _amounts(self) -> Counted:
        recent: dict[str, float] = {
            f"{fields.DURATION}{index}": count for index, count in self._buckets.items()
        }
        recent |= {f"{fields.CHANGING}{index}": count for index, count in self._changing.items()}
        total: dict[str, float] = {}
        for series in self._series.values():
            method, status, route = series.labels
            for bound, count in series.bounds.items():
                total[f"{fields.REQUESTS}{method}:{status}:{bound}:{route}"] = count
            if series.bounds:
                total[f"{fields.TIME}{method}:{status}:{route}"] = series.seconds
        if recent:
            recent[fields.SECONDS] = sum(series.seconds for series in self._series.values())
        if self._errors:
            recent[fields.ERRORS] = self._errors
        # Clients are told apart within a window; all that ever failed are of no use.
        lasting = {n: c for n, c in self._counts.items() if not n.startswith(fields.CLIENT)}
        return Counted({**recent, **self._counts}, {**total, **lasting})


def _taken(waiting: deque[_T]) -> list[_T]:
    """Take what waits; what is appended meanwhile stays for the next call."""
    return [waiting.popleft() for _ in range(len(waiting))]


def _by_bound(ascending: Sequence[float]) -> dict[int, int]:
    """Number of durations for each index of BOUNDS that is the first not below them."""
    ends = [0, *(bisect_right(ascending, bound) for bound in BOUNDS), len(ascending)]
    counts = (end - start for start, end in pairwise(ends))
    return {index: count for index, count in enumerate(counts) if count}
