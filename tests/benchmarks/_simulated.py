"""Simulated releases: what both colours count, second by second, drawn with numpy.

A release gives green 10, 25, 50 and 100 % for ten minutes each, or until its figures suffice.
Every verdict is the product's own: small counts are looked up in tables that its functions fill,
and whatever may be a FAIL is handed to `judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mina_ops.operator.release.verdicts import latency
from mina_ops.operator.release.verdicts.figures import RECENT_SECONDS, window_of
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.latency import AN_HOUR, TO_COMPARE, TO_PASS
from mina_ops.operator.release.verdicts.model import Figures, Handshakes, Response
from mina_ops.operator.release.verdicts.statistics import (
    PASS_CHANCE,
    exceedances_head,
    surely_above,
    surely_below,
)
from tests.benchmarks._laws import BUCKETS, Counts, Law, law, p95

TRAFFIC = (0.5, 1.0, 5.0, 50.0)
"""Requests a second of the sites."""

LAWS = ("lognormal", "bimodal", "heavy")
HEALTHY_FACTORS = (1.0, 1.1, 1.2)
SHARES = (0.10, 0.25, 0.50, 1.00)
STEP_SECONDS, PATIENCE_SECONDS = 600, 900
LIMIT, TOLERATED = 0.05, 0.01
RATE_LOOK_SECONDS, P95_LOOK_SECONDS = 5, 15
BASELINE_SECONDS = 900
_TABLE = 4000

Source = np.random.Generator


@cache
def _fail_table() -> Counts:
    """The fewest events of n trials that are a FAIL."""
    needed, events = np.zeros(_TABLE, np.int64), 1
    for trials in range(1, _TABLE):
        while events <= trials and not (
            events > LIMIT * trials and surely_above(events, trials, TOLERATED)
        ):
            events += 1
        needed[trials] = events
        events = max(1, events - 1)
    needed[0] = 1
    return needed


@cache
def _pass_table() -> Counts:
    """The most events of n trials that are a PASS; -1: none."""
    most, events = np.full(_TABLE, -1, np.int64), 0
    for trials in range(1, _TABLE):
        while surely_below(events, trials, LIMIT):
            most[trials] = events
            events += 1
        if events and most[trials] < 0:
            most[trials] = events - 1 if surely_below(events - 1, trials, LIMIT) else -1
    return most


@contextmanager
def fail_chance(chance: float) -> Iterator[None]:
    """Judge with another chance of error than the product's, of which there is no setting."""
    defaults, before = surely_above.__defaults__, latency.FAIL_CHANCE
    surely_above.__defaults__, latency.FAIL_CHANCE = (chance,), chance  # type: ignore[misc]
    _fail_table.cache_clear()
    try:
        yield
    finally:
        surely_above.__defaults__, latency.FAIL_CHANCE = defaults, before  # type: ignore[misc]
        _fail_table.cache_clear()


def trailing(counts: Counts, spans: Counts) -> Counts:
    """Sums over the last `spans` places up to each place, along the second axis."""
    total = np.concatenate([np.zeros_like(counts[:, :1]), counts.cumsum(1)], 1)
    ends = np.arange(1, counts.shape[1] + 1)
    return np.asarray(total[:, ends] - total[:, np.maximum(ends - spans, 0)])


def windows(looks: int, every: int) -> list[Counts]:
    """Each look's own window in places, then the recent ones."""
    own = np.array([window_of(look * every) for look in range(1, looks + 1)])
    recent = [np.minimum(own, seconds) for seconds in RECENT_SECONDS if seconds >= every]
    return [np.maximum(span // every, 1) for span in (own, *recent)]


@dataclass(frozen=True)
class Rates:
    """Green's requests at one share: by release and look, with the errors among them."""

    trials: Counts
    events: Counts

    def failed_at(self, *, websocket: bool = False) -> Counts:
        """The first look of each release that takes it back; -1: none."""
        first = np.full(len(self.trials), -1, np.int64)
        table = _fail_table()
        for spans in windows(self.trials.shape[1], RATE_LOOK_SECONDS):
            n, k = trailing(self.trials, spans), trailing(self.events, spans)
            may = (k > LIMIT * n) & (k >= table[np.minimum(n, _TABLE - 1)])
            may |= (k > LIMIT * n) & (n >= _TABLE)
            for release, look in np.argwhere(may):
                known = first[release]
                if (known < 0 or look < known) and _fails(
                    int(k[release, look]), int(n[release, look]), websocket
                ):
                    first[release] = look
        return first

    def passed_at(self) -> Counts:
        """The first look of each release at or after the step's end that passes; -1: none."""
        own = windows(self.trials.shape[1], RATE_LOOK_SECONDS)[0]
        n, k = trailing(self.trials, own), trailing(self.events, own)
        fine = np.where(n < _TABLE, k <= _pass_table()[np.minimum(n, _TABLE - 1)], k < 0.04 * n)
        fine[:, : STEP_SECONDS // RATE_LOOK_SECONDS - 1] = False
        return np.where(fine.any(1), fine.argmax(1), -1)


def _fails(events: int, trials: int, websocket: bool) -> bool:
    if websocket:
        new = Figures(handshakes=Handshakes(trials - events, events))
    else:
        new = Figures(requests=trials, errors=events)
    return judge(new, Figures()).response in (Response.INSTANT, Response.GRADUAL)


def draw_rates(
    source: Source, releases: int, per_second: float, rate: Callable[[int], NDArray[np.float64]]
) -> Rates:
    """Requests of green over a step and its patience; `rate(looks)` is each look's error rate."""
    looks = (STEP_SECONDS + PATIENCE_SECONDS) // RATE_LOOK_SECONDS
    trials = source.poisson(per_second * RATE_LOOK_SECONDS, (releases, looks))
    return Rates(trials, source.binomial(trials, rate(looks)))


@dataclass(frozen=True)
class Durations:
    """Both colours' requests at one share by release, look and bucket.

    `before` are blue's of an earlier time, whose middle was `before_age` seconds before the step.
    """

    new: Counts
    old: Counts
    before: Counts
    before_age: NDArray[np.float64]
    kind: str = "lognormal"

    def failed_at(self) -> Counts:
        """The first look of each release that takes it back for its P95; -1: none."""
        first = np.full(len(self.new), -1, np.int64)
        for spans in windows(self.new.shape[1], P95_LOOK_SECONDS):
            seconds = np.array(spans) * P95_LOOK_SECONDS
            a = trailing(self.new, spans)
            b, ages = self._compared(spans)
            for release, look in _may_be_slower(a, b, self.kind, seconds >= 30):
                known, age = first[release], ages[release, look]
                if (known < 0 or look < known) and is_slower(
                    a[release, look], b[release, look], self.kind, age
                ):
                    first[release] = look
        return first

    def passed_at(self) -> Counts:
        """The first look of each release at or after the step's end that passes; -1: none."""
        spans = windows(self.new.shape[1], P95_LOOK_SECONDS)[0]
        a = trailing(self.new, spans)
        b, ages = self._compared(spans)
        limit = 1.5 * p95(b, self.kind) * (1 + np.minimum(1.0, ages / AN_HOUR))
        late = np.where(limit[..., None] <= BUCKETS[self.kind], a, 0).sum(-1)
        n, m = a.sum(-1), b.sum(-1)
        first = np.full(len(a), -1, np.int64)
        for release in range(len(a)):
            for look in range(STEP_SECONDS // P95_LOOK_SECONDS - 1, a.shape[1]):
                if _passes(int(late[release, look]), int(n[release, look]), int(m[release, look])):
                    first[release] = look
                    break
        return first

    def _compared(self, spans: Counts) -> tuple[Counts, NDArray[np.float64]]:
        """What `with_baseline` compares with at each look, and how old that is, in seconds."""
        own = windows(self.old.shape[1], P95_LOOK_SECONDS)[0]
        recent, whole = trailing(self.old, spans), trailing(self.old, own)
        some, enough = (c.sum(-1) >= TO_COMPARE for c in (recent, whole))
        now = np.where(some[..., None], recent, whole)
        elapsed = np.arange(1, self.old.shape[1] + 1) * P95_LOOK_SECONDS
        ages = self.before_age[:, None] + (elapsed - spans * P95_LOOK_SECONDS / 2)[None, :]
        live = some | enough
        compared = np.where(live[..., None], now, self.before[:, None, :])
        return compared, np.where(live, 0.0, ages)


@cache
def _passes(late: int, trials: int, others: int) -> bool:
    if trials < TO_PASS or others < TO_COMPARE:
        return False
    return exceedances_head(late, trials, int(others * 0.05), others) < PASS_CHANCE


def _may_be_slower(new: Counts, old: Counts, kind: str, long: NDArray[np.bool_]) -> Counts:
    """Release and look wherever `judge` has to be asked.

    P95 is over its limit there, and a count is far from its mean: a chance below c needs
    n * KL > log(1 / c) - log(n + 1) (the converse of Chernoff's bound). What is left out is no
    FAIL, also by the largest chance that is tried here, 1e-4.
    """
    fast, n = p95(old, kind), new.sum(-1)
    found = np.argwhere((p95(new, kind) > 1.5 * fast) & (n >= 5) & long[None, :])
    some, others = new[found[:, 0], found[:, 1]], old[found[:, 0], found[:, 1]]
    trials, bounds = n[found[:, 0], found[:, 1]], BUCKETS[kind]
    far = np.zeros(len(found), bool)
    for q in (0.5, 0.75, 0.9, 0.95, 0.98, None):
        mark = p95(others, kind) * 1.5 / 1.25 if q is None else p95(others, kind, q)
        k = np.where(bounds > (1.25 * mark)[:, None], some, 0).sum(-1) / trials
        p = (np.where(bounds > mark[:, None], others, 0).sum(-1) + 1) / (others.sum(-1) + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = np.where(k < 1, (1 - k) * np.log((1 - k) / (1 - p)), 0.0)
            divergence = k * np.log(k / p) + rest
        far |= (k > p) & (trials * divergence > 9.0 - np.log(trials + 1.0))
    return np.asarray(found[far])


def is_slower(new: Counts, old: Counts, kind: str, age_seconds: float = 0.0) -> bool:
    """Whether `judge` takes a release with these durations back."""
    before = Figures(histogram=pairs(old, kind), age_seconds=age_seconds)
    found = judge(Figures(histogram=pairs(new, kind)), before)
    return found.response is Response.GRADUAL


def pairs(counts: Counts, kind: str) -> tuple[tuple[float, float], ...]:
    """Counts by bucket as the product's histogram."""
    return tuple((float(b), float(c)) for b, c in zip(BUCKETS[kind], counts, strict=True) if c)


def draw_durations(
    source: Source,
    releases: int,
    per_second: float,
    share: float,
    kind: str,
    green: Callable[[int], Law],
    looks: int = (STEP_SECONDS + PATIENCE_SECONDS) // P95_LOOK_SECONDS,
) -> Durations:
    """Both colours' requests; `green` is the law of its latencies at each look."""
    blue = law(kind)
    each = per_second * P95_LOOK_SECONDS
    new = np.stack(
        [
            source.multinomial(source.poisson(each * share, releases), green(look))
            for look in range(looks)
        ],
        1,
    )
    old = source.multinomial(source.poisson(each * (1 - share), (releases, looks)), blue)
    quiet = per_second * BASELINE_SECONDS < TO_COMPARE
    seconds = 3600 if quiet else BASELINE_SECONDS
    before = source.multinomial(source.poisson(per_second * seconds, releases), blue)
    return Durations(new, old, before, np.full(releases, seconds / 2), kind)


def ended(failed: Counts, passed: Counts) -> NDArray[np.bool_]:
    """Which releases passed a step: a pass came, and no FAIL before it."""
    return np.asarray((passed >= 0) & ((failed < 0) | (failed > passed)))
