from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.app.metrics.histogram import (
    LONGEST_SECONDS,
    RELATIVE_ERROR,
    SHORTEST_SECONDS,
    bucket,
    buckets,
    duration,
    quantile,
)

durations = st.floats(SHORTEST_SECONDS, LONGEST_SECONDS, exclude_min=True)
ROUNDING = 1 + 1e-9


@given(durations)
def test_a_bucket_stands_for_each_of_its_durations_within_one_percent(seconds: float) -> None:
    error = abs(duration(bucket(seconds)) - seconds) / seconds
    assert error <= RELATIVE_ERROR * ROUNDING


@given(durations, durations)
def test_a_longer_duration_is_never_in_a_lower_bucket(one: float, other: float) -> None:
    assert bucket(min(one, other)) <= bucket(max(one, other))


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_one_percent_of_the_sample_at_its_rank(
    samples: list[float], q: float
) -> None:
    samples.sort()
    exact = samples[math.floor(q * (len(samples) - 1) + 1e-9)]
    estimate = quantile(buckets(samples), q)
    assert estimate is not None
    assert abs(estimate - exact) <= exact * RELATIVE_ERROR * ROUNDING


@given(st.lists(durations, max_size=100), st.lists(durations, max_size=100))
def test_merged_histograms_are_the_histogram_of_all_samples(
    one: list[float], other: list[float]
) -> None:
    merged = buckets(sorted(one)) + buckets(sorted(other))
    assert merged == buckets(sorted(one + other))


@given(st.lists(st.floats(0, 1e9), max_size=50))
def test_counting_many_is_counting_each(samples: list[float]) -> None:
    assert buckets(sorted(samples)) == Counter(bucket(seconds) for seconds in samples)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9])
def test_what_is_too_short_counts_as_the_shortest(seconds: float) -> None:
    assert bucket(seconds) == bucket(SHORTEST_SECONDS)


@pytest.mark.parametrize("seconds", [1e9, math.inf])
def test_what_is_too_long_counts_as_the_longest(seconds: float) -> None:
    assert bucket(seconds) == bucket(LONGEST_SECONDS)


def test_any_traffic_needs_few_buckets() -> None:
    assert bucket(LONGEST_SECONDS) - bucket(SHORTEST_SECONDS) < 1300


def test_no_samples_have_no_quantile() -> None:
    assert quantile({}, 0.5) is None


def test_the_tail_of_a_heavy_distribution_is_within_one_percent() -> None:
    random.seed(4)
    samples = sorted(random.lognormvariate(-3, 1.2) for _ in range(50_000))
    counts = buckets(samples)
    for q in (0.5, 0.9, 0.95, 0.99, 0.999):
        exact = samples[int(q * (len(samples) - 1))]
        estimate = quantile(counts, q)
        assert estimate == pytest.approx(exact, rel=RELATIVE_ERROR * ROUNDING)
