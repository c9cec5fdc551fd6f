"""How sure a rate, or a difference of two samples, is from the numbers behind it. Pure.

Every test here is exact: rates use the binomial distribution itself, since a normal approximation
is worst where it matters here, at rare errors and small samples; two samples of latencies are
compared by counts above a value, whose distribution is known whatever latencies look like.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

FAIL_CHANCE = 1e-8
"""Chance of a false alarm that one figure over one window may take at one look, one-sided.

A release is looked at about once a second for an hour or more, at several figures over several
windows. Looks overlap, and an estimate must be over its limit too; what all of that comes to is
simulated by `tests/benchmarks/analysis.py`.
"""

PASS_CHANCE = 0.1
"""Chance that a figure which lies exactly at its limit passes at one look.

Much larger than `FAIL_CHANCE`, since a pass is asked for again at every share and during the
watch, while a false alarm takes a release back at once.
"""

SHARED_CHANCE = 1e-3
"""Chance of error where only the response is chosen: whether the other colour shows a fault too."""

_NEGLIGIBLE = 1e-12


def tail(events: int, trials: int, rate: float) -> float:
    """Chance of at least `events` in `trials` at a true `rate` (0 to 1): P(X >= events).

    Summed from the largest term outwards in logarithms, so small chances are exact too.
    """
    if events <= 0:
        return 1.0
    if rate <= 0.0 or events > trials:
        return 0.0
    if rate >= 1.0:
        return 1.0
    return _sum_upwards(_binomial(trials, rate), events, trials, trials * rate)


def head(events: int, trials: int, rate: float) -> float:
    """Chance of at most `events` in `trials` at a true `rate` (0 to 1): P(X <= events)."""
    # The same sum, told of the trials that are no events.
    return tail(trials - events, trials, 1.0 - rate)


def surely_above(events: int, trials: int, rate: float, chance: float = FAIL_CHANCE) -> bool:
    """Whether the true rate is above `rate`, wrong at most with `chance`.

    The same as asking whether the lower Clopper-Pearson bound exceeds `rate` (C. J. Clopper and
    E. S. Pearson, Biometrika 26, 1934), without searching for the bound.
    """
    return events > trials * rate and tail(events, trials, rate) < chance


def surely_below(events: int, trials: int, rate: float, chance: float = PASS_CHANCE) -> bool:
    """Whether the true rate is below `rate`, wrong at most with `chance`."""
    return events < trials * rate and head(events, trials, rate) < chance


def trials_to_pass(events: int, rate: float, chance: float = PASS_CHANCE) -> int:
    """How many trials, with `events` events among them, show that the rate is below `rate`."""
    low, high = events + 1, events + 2
    while not surely_below(events, high, rate, chance):
        high *= 2
    while low < high:
        middle = (low + high) // 2
        if surely_below(events, middle, rate, chance):
            high = middle
        else:
            low = middle + 1
    return high


def upper_bound(events: int, trials: int, chance: float = SHARED_CHANCE) -> float:
    """The upper Clopper-Pearson bound of a rate, 0 to 1; 1 without trials."""
    if events >= trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        if head(events, trials, middle) < chance:
            high = middle
        else:
            low = middle
    return high


def exceedances_tail(count: int, trials: int, above: int, others: int) -> float:
    """Chance that at least `count` of `trials` new values lie above a value of the other sample.

    That value is one which `above` of the `others` exceed. If both samples come from the same
    distribution, whichever that is, the count is beta-binomial (E. J. Gumbel and H. von
    Schelling, Annals of Mathematical Statistics 21, 1950).
    """
    if count <= 0:
        return 1.0
    if count > trials or above >= others:
        return 0.0 if count > trials else 1.0
    a, b = above + 1, others - above
    return _sum_upwards(_beta_binomial(trials, a, b), count, trials, trials * a / (a + b))


def exceedances_head(count: int, trials: int, above: int, others: int) -> float:
    """Chance that at most `count` of `trials` new values do; see `exceedances_tail`."""
    if above >= others:
        return 1.0
    # Counted from the other end: those that do not exceed.
    a, b = others - above, above + 1
    left = trials - count
    if left <= 0:
        return 1.0
    return _sum_upwards(_beta_binomial(trials, a, b), left, trials, trials * a / (a + b))


def _binomial(trials: int, rate: float) -> Callable[[int], float]:
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    choose = math.lgamma(trials + 1)

    def log_term(k: int) -> float:
        chosen = choose - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        return chosen + k * log_rate + (trials - k) * log_rest

    return log_term


def _beta_binomial(trials: int, a: float, b: float) -> Callable[[int], float]:
    fixed = math.lgamma(trials + 1) - math.lgamma(trials + a + b)
    fixed += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)

    def log_term(k: int) -> float:
        chosen = fixed - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        return chosen + math.lgamma(k + a) + math.lgamma(trials - k + b)

    return log_term


def _sum_upwards(log_term: Callable[[int], float], first: int, last: int, mean: float) -> float:
    """The sum of the terms from `first` to `last`; beyond the mean they only get smaller."""
    total = 0.0
    for k in range(first, last + 1):
        term = math.exp(log_term(k))
        total += term
        if k > mean and term < total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


Histogram = Sequence[tuple[float, float]]
"""(value, count) pairs, values ascending."""


def samples(histogram: Histogram) -> int:
    """How many values it counts."""
    return int(sum(count for _, count in histogram))


def quantile(histogram: Histogram, q: float) -> float | None:
    """The smallest value that at least a share `q` (0 to 1) does not exceed; None of nothing."""
    rank, seen = samples(histogram) * q, 0.0
    for value, count in histogram:
        seen += count
        if seen >= rank:
            return value
    return None


def above(histogram: Histogram, value: float) -> int:
    """How many are larger than `value`."""
    return int(sum(count for bound, count in histogram if bound > value))


def has_grown(value: float, before: float, percent: float, least: float) -> bool:
    """Whether it is above `before` by more than `percent` of that and by more than `least`."""
    return value - before > max(before * percent / 100, least)
