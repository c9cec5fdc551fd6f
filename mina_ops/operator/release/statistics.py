"""How sure a rate or a quantile is, from the samples behind it. Pure.

Exact where it is cheap: rates use the binomial distribution itself, since a normal
approximation is worst where it matters here, at rare errors and small samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PER_LOOK = 1e-7
"""Chance of a false alarm that one figure over one window may take at one look, one-sided.

A release is looked at about once a second for an hour, at three figures over four windows. Looks
overlap, a rate is seldom at the very edge of what is tolerated, and its estimate must be over the
limit too; what all of that comes to is simulated by `tests/benchmarks/analysis.py`.
"""

Z_PER_LOOK = 6.5
"""How far a quantile's bounds lie from it, in standard deviations of its rank.

More than the normal quantile of `PER_LOOK`, 5.2: the far end of latencies is skewed, so that a
P95 strays upwards more often than ranks tell. With 5.6 some 3 in 10,000 healthy releases that are
10 % slower were taken back in the simulation, with this none.
"""


def tail(successes: int, trials: int, rate: float) -> float:
    """Chance of at least `successes` in `trials` at a true `rate`: P(X >= successes).

    Exact, summed from the largest term outwards in logarithms; `rate` between 0 and 1.
    """
    if successes <= 0:
        return 1.0
    if rate <= 0.0 or successes > trials:
        return 0.0
    if rate >= 1.0:
        return 1.0
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    choose = math.lgamma(trials + 1)
    total = 0.0
    for k in range(successes, trials + 1):
        log_term = choose - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        term = math.exp(log_term + k * log_rate + (trials - k) * log_rest)
        total += term
        if k > trials * rate and term < total * 1e-12:
            break
    return min(total, 1.0)


def surely_above(events: int, trials: int, rate: float, chance: float = PER_LOOK) -> bool:
    """Whether the true rate is above `rate`, wrong at most with `chance`.

    The same as asking whether the lower Clopper-Pearson bound exceeds `rate` (C. J. Clopper and
    E. S. Pearson, Biometrika 26, 1934), without searching for the bound.
    """
    return events > trials * rate and tail(events, trials, rate) < chance


def lower_bound(events: int, trials: int, chance: float = PER_LOOK) -> float:
    """The lower Clopper-Pearson bound of a rate, 0 to 1; for showing how sure a verdict is."""
    if events <= 0 or trials <= 0:
        return 0.0
    low, high = 0.0, events / trials
    for _ in range(50):
        middle = (low + high) / 2
        if tail(events, trials, middle) < chance:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True)
class Quantile:
    """A quantile with bounds, in the unit of its histogram; None where samples do not reach."""

    value: float | None
    low: float | None
    high: float | None
    samples: int


def quantile(histogram: Sequence[tuple[float, float]], q: float, z: float = Z_PER_LOOK) -> Quantile:
    """The `q` quantile (0 to 1) of (value, count) pairs in ascending order, with its bounds.

    Bounds are order statistics at the ranks `n q -+ z sqrt(n q (1 - q))` (H. A. David and
    H. N. Nagaraja, Order Statistics, 3rd edition, section 7.1): they need no assumption about
    how latencies are distributed.
    """
    samples = int(sum(count for _, count in histogram))
    if samples == 0:
        return Quantile(None, None, None, 0)
    middle = samples * q
    spread = z * math.sqrt(samples * q * (1 - q))
    return Quantile(
        value=_at_rank(histogram, middle),
        low=_at_rank(histogram, middle - spread) if middle - spread >= 1 else None,
        high=_at_rank(histogram, middle + spread) if middle + spread <= samples else None,
        samples=samples,
    )


def surely_longer(slow: Quantile, fast: Quantile) -> bool:
    """Whether the one quantile is really longer than the other, as sure as their bounds are.

    Combines both bounds in logarithms by the method of variance estimates recovery (G. Y. Zou
    and A. Donner, Statistics in Medicine 27, 2008), which is sharper than waiting until the two
    intervals part.
    """
    if slow.value is None or slow.low is None or fast.value is None or fast.high is None:
        return False
    if min(slow.value, slow.low, fast.value) <= 0:
        return False
    down = math.log(slow.value / slow.low)
    up = math.log(fast.high / fast.value)
    return math.log(slow.value / fast.value) > math.hypot(down, up)


def has_grown(value: float, before: float, percent: float, least: float) -> bool:
    """Whether it is above `before` by more than `percent` of that and by more than `least`."""
    return value - before > max(before * percent / 100, least)


def _at_rank(histogram: Sequence[tuple[float, float]], rank: float) -> float:
    seen = 0.0
    for value, count in histogram:
        seen += count
        if seen >= rank:
            return value
    return histogram[-1][0]
