from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.app.drain.model import Order, Plan, order_from, plan

ORDER = Order("one", "blue", 1000.0, 1030.0, 30.0, version="v1")


def test_an_order_survives_the_store() -> None:
    assert order_from(ORDER.to_bytes()) == ORDER
    assert order_from(None) is None


@pytest.mark.parametrize(
    ("now", "grace", "deadline"),
    [(1000.0, 30.0, 1030.0), (1010.0, 5.0, 1015.0), (1010.0, 60.0, 1030.0), (1025.0, 0.0, 1025.0)],
)
def test_only_an_earlier_deadline_changes_an_order(
    now: float, grace: float, deadline: float
) -> None:
    tightened = ORDER.tightened(now, grace)
    assert (tightened.order_id, tightened.deadline) == ("one", deadline)


@pytest.mark.parametrize(
    ("now", "left"), [(1000.0, 30.0), (1020.0, 10.0), (2000.0, 0.0), (900.0, 30.0)]
)
def test_a_clock_that_is_behind_does_not_lengthen_the_grace(now: float, left: float) -> None:
    assert ORDER.seconds_left(now) == left


@pytest.mark.parametrize(
    ("order", "now", "version", "outlived"),
    [
        (ORDER, 1031.0, "v2", True),
        (ORDER, 1029.0, "v2", False),
        (ORDER, 1031.0, "v1", False),
        (replace(ORDER, cancelled=True), 1031.0, "v2", False),
    ],
)
def test_an_order_is_outlived_by_a_newer_release_once_it_is_over(
    order: Order, now: float, version: str, outlived: bool
) -> None:
    assert order.is_outlived(now, version) is outlived


@given(waiting=st.integers(1, 5000), window=st.floats(5, 600))
def test_a_plan_lets_go_evenly_from_the_first_to_the_last(waiting: int, window: float) -> None:
    planned, step = Plan(100.0, 100.0 + window), window / 1000
    left = float(waiting)
    for number in range(1000):
        since = 100.0 + number * step
        left -= planned.due(round(left), since, since + step)
        even = waiting * (1 - (number + 1) / 1000)
        assert abs(left - even) <= max(1.0, waiting * 0.01)
    assert planned.due(7, 100.0 + window - step, 100.0 + window) == 7


def test_nobody_is_let_go_where_nobody_is() -> None:
    assert Plan(0.0, 10.0).due(0, 4.0, 5.0) == 0


def test_a_delay_is_made_up_for_over_the_whole_rest() -> None:
    planned = Plan(0.0, 30.0)
    assert planned.due(3000, 0.0, 0.1) == pytest.approx(10)
    # Five seconds in which nobody was let go.
    assert planned.due(3000, 5.0, 5.1) == pytest.approx(12)


def test_without_grace_all_are_let_go_at_once() -> None:
    assert plan(10.0, 0.0, 1.5).due(500, 10.0, 10.0) == 500


@pytest.mark.parametrize(("left", "end"), [(30.0, 28.5), (4.0, 3.0), (0.0, 0.0)])
def test_the_tail_takes_at_most_a_quarter_of_what_is_left(left: float, end: float) -> None:
    assert plan(0.0, left, 1.5).end == end
