from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.app.metrics import windows
from mina_ops.app.metrics.contract import query
from mina_ops.app.web.openapi.check import query_values
from mina_ops.errors import InvalidRequest

NOW = 1_700_000_003.25


@given(st.floats(1e9, 3e9), st.integers(1, 3600))
def test_a_window_covers_what_it_says_and_at_most_a_slice_more(now: float, seconds: int) -> None:
    span = windows.span(now, seconds)
    assert seconds <= span.covered_seconds <= seconds + span.step_seconds + 1e-6
    assert span.starts[0] <= now - seconds
    assert span.starts[-1] <= now < span.starts[-1] + span.step_seconds
    assert len(span.starts) <= 362


@given(st.floats(1e9, 3e9), st.integers(1, 3600))
def test_each_moment_of_a_window_lies_in_one_of_its_slices(now: float, seconds: int) -> None:
    span = windows.span(now, seconds)
    for moment in (now, now - seconds / 2, now - seconds):
        assert windows.slice_start(moment, span.step_seconds) in span.starts


def test_a_minute_is_read_to_the_second_and_more_in_slices_of_ten() -> None:
    assert windows.span(NOW, 60).step_seconds == 1
    assert windows.span(NOW, 61).step_seconds == 10


def test_slices_live_longer_than_any_window_that_reads_them() -> None:
    assert windows.FINE_TTL_SECONDS > windows.FINE_REACH_SECONDS + windows.FINE_SECONDS
    assert windows.COARSE_TTL_SECONDS > windows.LONGEST_SECONDS + windows.COARSE_SECONDS


QUERY = query(("blue", "green"), "blue")


def test_no_window_means_five_minutes() -> None:
    assert query_values({}, QUERY)["window"] == 300


@pytest.mark.parametrize(("text", "seconds"), [("1", 1), ("60", 60), ("3600", 3600)])
def test_a_window_is_whole_seconds(text: str, seconds: int) -> None:
    assert query_values({"window": text}, QUERY)["window"] == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0060", "3601", "-5", "1.5", "1e3", "x", "٣", "1" * 5000, " 60", "+60"]
)
def test_any_other_window_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        query_values({"window": text}, QUERY)
    assert caught.value.field == "window"
