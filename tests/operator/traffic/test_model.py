"""A split is whole or it is not made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.errors import ConfigurationError
from mina_ops.operator.traffic.model import Split

users = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_@.:+-]{0,20}", fullmatch=True)
splits = st.builds(
    lambda share, cohorts: Split({"blue": 100 - share, "green": share}, cohorts),
    st.integers(0, 100),
    st.dictionaries(users, st.sampled_from(["blue", "green"]), max_size=5),
)


@given(splits)
def test_json_and_back_is_the_same_split(split: Split) -> None:
    assert Split.from_json(split.to_json()) == split


@given(splits, st.integers(0, 100), st.sampled_from(["blue", "green"]))
def test_giving_a_share_keeps_the_sum_and_the_users(split: Split, share: int, to: str) -> None:
    given_share = split.giving(to, share)
    assert given_share.percent[to] == share
    assert sum(given_share.percent.values()) == 100
    assert given_share.cohorts == split.cohorts


@pytest.mark.parametrize(
    "percent",
    [
        {"blue": 101, "green": -1},
        {"blue": 50, "green": 49},
        {"blue": 100},
        {"blue": 50.5, "green": 49.5},
        {"blue": True, "green": 99},
        {"blue": 50, "green": 25, "red": 25},
        {},
    ],
)
def test_shares_that_are_no_hundred_are_refused(percent: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        Split(percent)


@pytest.mark.parametrize("user", ["", ".", "../x", "a b", "-x", "a/b", "x" * 129, "a;b", "a\nb"])
def test_user_ids_that_could_harm_a_load_balancer_are_refused(user: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a user id"):
        Split({"blue": 100, "green": 0}, {user: "green"})


def test_a_user_cannot_be_sent_to_an_unknown_colour() -> None:
    with pytest.raises(ConfigurationError, match=r"'red'; there are blue, green"):
        Split({"blue": 100, "green": 0}, {"1": "red"})
    with pytest.raises(ConfigurationError, match="No colour 'red'"):
        Split.all_to("blue", ["blue", "green"]).giving("red", 10)


def test_too_many_users_by_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="use percent"):
        Split({"blue": 100, "green": 0}, {str(n): "green" for n in range(10_001)})


@pytest.mark.parametrize("value", [None, 3, {}, {"percent": 3}, {"percent": {"blue": "x"}}])
def test_what_is_no_split_is_told_what_one_looks_like(value: object) -> None:
    with pytest.raises(ConfigurationError):
        Split.from_json(value)


def test_cohorts_can_be_added_and_taken_back() -> None:
    split = Split.all_to("blue", ["blue", "green"]).with_cohort(["1", "2"], "green")
    assert dict(split.cohorts) == {"1": "green", "2": "green"}
    assert split.serves("green")
    assert dict(split.with_cohort(["1"], None).cohorts) == {"2": "green"}
    assert not split.without_cohorts().serves("green")
    assert split.describe() == "blue 100 %, green 0 %, 2 users by name"
