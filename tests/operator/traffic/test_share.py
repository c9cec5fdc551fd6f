"""The sample ratio: chance is told from a share that is not what was given."""

from __future__ import annotations

import random

import pytest

from mina_ops.operator.traffic.share import REQUESTS_PER_VISITOR, measured_share


@pytest.mark.parametrize(("green", "differs"), [(1000, False), (1150, False), (100, True)])
def test_a_share_that_chance_cannot_explain_is_told(green: int, differs: bool) -> None:
    share = measured_share({"blue": 10_000 - green, "green": green}, "green", 10)
    assert (share.differs, share.samples) == (differs, 10_000)


def test_few_requests_prove_nothing_and_none_are_no_share() -> None:
    assert not measured_share({"blue": 30, "green": 0}, "green", 10).differs
    none = measured_share({"blue": 0, "green": 0}, "green", 10)
    assert (none.percent, none.differs) == (None, False)


def test_all_of_the_traffic_on_a_colour_without_share_is_told() -> None:
    assert measured_share({"blue": 0, "green": 50}, "green", 0).differs


def test_healthy_shares_seldom_alarm() -> None:
    chance = random.Random(1)
    alarms = 0
    for _ in range(2000):
        visitors = [chance.random() < 0.1 for _ in range(500)]
        green = sum(chance.randint(1, 2 * REQUESTS_PER_VISITOR - 1) for on in visitors if on)
        blue = sum(chance.randint(1, 2 * REQUESTS_PER_VISITOR - 1) for on in visitors if not on)
        alarms += measured_share({"blue": blue, "green": green}, "green", 10).differs
    assert alarms <= 10
