"""Two failures are down, two passes are up; taking out never makes it worse."""

from __future__ import annotations

import pytest

from mina_ops.errors import AppUnhealthy, AppUnreachable
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.watching import Hysteresis, Sight, TakeOut, watch
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns

DOWN = Sight("blue", False, "down", up=False, flipped=True)
UP = Sight("blue", True, "v1", up=True, flipped=True)


def test_only_results_in_a_row_flip_the_state() -> None:
    state = Hysteresis(fails=2, passes=2)
    flips = [state.observe(ok) for ok in (False, True, False, False, False, True, False, True)]
    assert flips == [False, False, False, True, False, False, False, False]
    assert not state.up
    assert state.observe(True)
    assert state.up


def test_both_colours_are_looked_at_each_round(nginx: Balancer, apps: StandIns) -> None:
    rounds = iter([True, True, False])

    def pause() -> bool:
        apps.fleets["blue"].status = "degraded"
        return next(rounds)

    sights = list(watch(nginx.settings(), ("blue", "mina-green"), pause))
    assert [sight.colour for sight in sights] == ["blue", "green"] * 3
    blue = [(sight.healthy, sight.up, sight.flipped) for sight in sights if sight.colour == "blue"]
    assert blue == [(True, True, False), (False, True, False), (False, False, True)]
    assert all(sight.healthy for sight in sights if sight.colour == "green")


def test_a_colour_that_is_down_is_taken_out_and_put_back(nginx: Balancer) -> None:
    before = Split({"blue": 90, "green": 10}, {"7": "blue", "8": "green"})
    nginx.driver.apply(before)
    taker = TakeOut(nginx.settings(), nginx.driver)
    assert "taken out" in (taker.act(DOWN) or "")
    assert nginx.driver.read().split == Split({"blue": 0, "green": 100}, {"8": "green"})
    assert "back in" in (taker.act(UP) or "")
    assert nginx.driver.read().split == before


def test_nobody_is_sent_to_a_colour_that_is_not_ready(nginx: Balancer, apps: StandIns) -> None:
    apps.instances["green"][1].ready = False
    taker = TakeOut(nginx.settings(), nginx.driver)
    with pytest.raises(AppUnhealthy):
        taker.act(DOWN)
    apps.stop_instance(apps.instances["green"][1])
    with pytest.raises((AppUnhealthy, AppUnreachable)):
        taker.act(DOWN)
    assert nginx.driver.read().split.percent["blue"] == 100


def test_what_somebody_changed_meanwhile_stays(nginx: Balancer) -> None:
    taker = TakeOut(nginx.settings(), nginx.driver)
    taker.act(DOWN)
    nginx.driver.apply(Split({"blue": 50, "green": 50}))
    assert "by hand" in (taker.act(UP) or "")
    assert nginx.driver.read().split.percent["blue"] == 50


def test_one_that_is_not_ready_yet_is_put_back_later(nginx: Balancer, apps: StandIns) -> None:
    taker = TakeOut(nginx.settings(), nginx.driver)
    taker.act(DOWN)
    blue = apps.instances["blue"][0]
    blue.ready = False
    with pytest.raises(AppUnhealthy):
        taker.act(UP)
    blue.ready = True
    assert "back in" in (taker.act(UP) or "")
    assert nginx.driver.read().split.percent["blue"] == 100


def test_a_colour_without_traffic_is_left_alone(nginx: Balancer) -> None:
    nginx.driver.apply(Split({"blue": 0, "green": 100}))
    taker = TakeOut(nginx.settings(), nginx.driver)
    assert taker.act(DOWN) is None
    assert taker.act(UP) is None
    assert taker.act(Sight("green", True, "v1", up=True, flipped=False)) is None
