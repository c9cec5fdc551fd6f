"""A state turns when N of the last M results contradict it, and not before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.app.health.model import Check, Rule, overall, turned


def _play(results: str, rule: Rule) -> str:
    """The states after each result, `+` for healthy and `-` for not."""
    state, recent, states = None, (), ""
    for result in results:
        state, recent = turned(state, recent, result == "+", rule)
        states += "+" if state else "-"
    return states


@pytest.mark.parametrize(
    ("results", "states"),
    [
        ("+", "+"),
        ("-", "-"),
        ("+-+-+", "+++--"),
        ("+--", "++-"),
        ("+-+++-", "++++++"),
        ("--++", "---+"),
        ("+--+-+", "++---+"),
        ("+--++", "++--+"),
    ],
)
def test_two_of_three_contrary_results_turn_a_state(results: str, states: str) -> None:
    assert _play(results, Rule(needed=2, window=3)) == states


def test_results_that_led_to_a_turn_are_not_counted_against_it() -> None:
    assert _play("++++--------", Rule(needed=2, window=5)) == "+++++-------"


@given(st.text("+-", max_size=50))
def test_with_one_of_one_the_state_is_the_last_result(results: str) -> None:
    assert _play(results, Rule(needed=1, window=1)) == results


@given(st.text("+-", min_size=1, max_size=50), st.integers(1, 5), st.integers(0, 5))
def test_a_steady_result_wins_in_the_end(results: str, needed: int, more: int) -> None:
    rule = Rule(needed=needed, window=needed + more)
    assert _play(results + "+" * needed, rule)[-1] == "+"
    assert _play(results + "-" * needed, rule)[-1] == "-"


def test_a_rule_that_cannot_turn_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        Rule(needed=3, window=2)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"a": "healthy", "b": "disabled"}, ("healthy", True)),
        ({}, ("healthy", True)),
        ({"a": "unhealthy", "b": "healthy"}, ("degraded", False)),
        ({"a": "unknown"}, ("degraded", False)),
        ({"soft": "unhealthy", "a": "healthy"}, ("degraded", True)),
        ({"soft": "unhealthy", "a": "unhealthy"}, ("degraded", False)),
    ],
)
def test_one_critical_failure_makes_all_unfit_and_a_soft_one_degrades(
    states: dict[str, str], expected: tuple[str, bool]
) -> None:
    assert overall(states, frozenset({"a", "b"})) == expected


@pytest.mark.parametrize("name", ["", "Ready", "live", "ready", "a/b", "x" * 41, "ä", "-x"])
def test_a_name_that_cannot_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a health check"):
        Check(name=name, run=None)


@pytest.mark.parametrize("times", [{"deadline_seconds": 0}, {"ttl_seconds": -1}])
def test_times_are_above_zero(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Check(name="x", run=None, **times)
