"""Bounds against values that others computed, and against simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.operator.release.verdicts.latency import p95
from mina_ops.operator.release.verdicts.model import Figures, Look, Triggers, Verdict
from mina_ops.operator.release.verdicts.statistics import (
    above,
    exceedances_head,
    exceedances_tail,
    head,
    quantile,
    surely_above,
    surely_below,
    tail,
    trials_to_pass,
    upper_bound,
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


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.001, 0.999))
def test_head_and_tail_share_all_cases(events: int, trials: int, rate: float) -> None:
    events = min(events, trials)
    assert head(events, trials, rate) + tail(events + 1, trials, rate) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("events", "trials", "bound"),
    # Upper limits of the two-sided 95 % Clopper-Pearson interval, as R's binom.test prints them.
    [(1, 10, 0.4450161), (5, 100, 0.1128349), (0, 20, 0.1684335)],
)
def test_the_upper_bound_is_that_of_clopper_and_pearson(
    events: int, trials: int, bound: float
) -> None:
    assert upper_bound(events, trials, 0.025) == pytest.approx(bound, rel=1e-5)


def test_one_error_among_ten_requests_is_not_ten_percent() -> None:
    assert not surely_above(1, 10, 0.01)
    assert surely_above(8, 8, 0.01)


@given(st.integers(0, 8), st.floats(0.02, 0.3))
def test_so_many_trials_pass_and_one_fewer_does_not(events: int, rate: float) -> None:
    needed = trials_to_pass(events, rate)
    assert surely_below(events, needed, rate)
    assert needed == events + 1 or not surely_below(events, needed - 1, rate)


def test_a_quantile_without_samples_has_no_value() -> None:
    assert quantile([], 0.95) is None


def test_exceedances_are_as_likely_as_they_say_whatever_is_measured() -> None:
    source = random.Random(5)
    often = 0
    for _ in range(4000):
        old = [(value, 1.0) for value in sorted(source.paretovariate(1.2) for _ in range(100))]
        new = [(value, 1.0) for value in sorted(source.paretovariate(1.2) for _ in range(60))]
        mark = quantile(old, 0.9)
        assert mark is not None
        often += exceedances_tail(above(new, mark), 60, above(old, mark), 100) < 0.05
    # At most one in twenty; of 4,000 that is 200, and 260 would be four standard deviations more.
    assert 100 < often < 260


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 99))
def test_exceedances_from_both_ends_share_all_cases(count: int, trials: int, above: int) -> None:
    count = min(count, trials)
    both = exceedances_head(count, trials, above, 100)
    both += exceedances_tail(count + 1, trials, above, 100)
    assert both == pytest.approx(1.0)


@pytest.mark.parametrize(("factor", "trials", "seen"), [(3.0, 100, 0.99), (5.0, 60, 0.99)])
def test_a_p95_three_times_as_long_is_sure_after_a_hundred_requests(
    factor: float, trials: int, seen: float
) -> None:
    source = random.Random(17)

    def sample(n: int, times: float) -> tuple[tuple[float, float], ...]:
        return tuple(
            (v, 1.0) for v in sorted(times * source.lognormvariate(3, 0.8) for _ in range(n))
        )

    found = 0
    for _ in range(200):
        new, old = (
            Figures(seconds=60.0, histogram=sample(*one)) for one in ((trials, factor), (900, 1.0))
        )
        found += p95(Look(new, old, Figures(), Triggers())).verdict is Verdict.FAIL
    assert found >= seen * 200
