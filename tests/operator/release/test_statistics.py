"""Bounds against values that others computed, and against simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.operator.release.statistics import (
    lower_bound,
    quantile,
    surely_above,
    surely_longer,
    tail,
)


@pytest.mark.parametrize(
    ("successes", "trials", "rate"), [(3, 10, 0.3), (1, 5, 0.5), (40, 60, 0.5)]
)
def test_the_tail_is_the_sum_of_the_binomial_terms(
    successes: int, trials: int, rate: float
) -> None:
    terms = (
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
        for k in range(successes, trials + 1)
    )
    assert tail(successes, trials, rate) == pytest.approx(sum(terms), rel=1e-9)


def test_the_tail_at_its_ends() -> None:
    assert tail(0, 10, 0.1) == 1.0
    assert tail(11, 10, 0.9) == 0.0
    assert tail(1, 10, 0.0) == 0.0
    assert tail(10, 10, 1.0) == 1.0


@pytest.mark.parametrize(
    ("events", "trials", "bound"),
    # Lower limits of the two-sided 95 % Clopper-Pearson interval, as R's binom.test prints them.
    [(1, 10, 0.002528579), (5, 100, 0.01643191), (7, 20, 0.1539092), (10, 10, 0.6915029)],
)
def test_the_lower_bound_is_that_of_clopper_and_pearson(
    events: int, trials: int, bound: float
) -> None:
    assert lower_bound(events, trials, 0.025) == pytest.approx(bound, rel=1e-5)


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.001, 0.5))
def test_surely_above_agrees_with_the_bound(a: int, b: int, rate: float) -> None:
    events, trials = min(a, b), max(a, b)
    bound = lower_bound(events, trials)
    if abs(bound - rate) > 1e-9:
        assert surely_above(events, trials, rate) is (bound > rate)


def test_one_error_among_ten_requests_is_not_ten_percent() -> None:
    assert not surely_above(1, 10, 0.01)
    assert lower_bound(1, 10) < 1e-6


def test_a_quantile_without_samples_has_no_value() -> None:
    assert quantile([], 0.95).value is None


def test_few_samples_have_no_upper_bound() -> None:
    few = quantile([(10.0, 100)], 0.95)
    assert (few.value, few.high) == (10.0, None)


def test_bounds_of_a_quantile_hold_the_truth_as_often_as_they_say() -> None:
    source = random.Random(11)
    truth = math.exp(1.6448536 * 0.8)
    misses = 0
    for _ in range(400):
        values = sorted(source.lognormvariate(0, 0.8) for _ in range(500))
        found = quantile([(value, 1) for value in values], 0.95, z=2.0)
        assert found.low is not None
        assert found.high is not None
        misses += not found.low <= truth <= found.high
    # z = 2 is 95.4 %: of 400 about 18 miss; 40 would be five standard deviations too many.
    assert misses < 40


def test_longer_needs_samples_as_well_as_a_difference() -> None:
    source = random.Random(3)

    def sample(n: int, factor: float) -> list[tuple[float, float]]:
        return [(v, 1) for v in sorted(factor * source.lognormvariate(3, 0.8) for _ in range(n))]

    many = quantile(sample(4000, 1.6), 0.95), quantile(sample(4000, 1.0), 0.95)
    few = quantile(sample(150, 1.6), 0.95), quantile(sample(150, 1.0), 0.95)
    same = quantile(sample(4000, 1.0), 0.95), quantile(sample(4000, 1.0), 0.95)
    assert surely_longer(*many) is True
    assert surely_longer(*few) is False
    assert surely_longer(*same) is False
