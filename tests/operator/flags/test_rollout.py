"""A rollout takes each step only while the triggers pass, and goes on where it was ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mina_ops.app.admin.auth import Author
from mina_ops.errors import AppUnreachable, ConfigurationError, OperatorError, RolledBack
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.flags import FlagsClient
from mina_ops.operator.flags.rollout import Rollout, RolloutPlan
from mina_ops.operator.release.verdicts.model import Figures, Handshakes, Triggers
from tests.support.flag_site import TOKEN, FlagSite, flag_site

FINE = Figures(
    requests=10_000,
    errors=1,
    histogram=((20.0, 9_000.0), (40.0, 1_000.0)),
    handshakes=Handshakes(500),
    database="healthy",
    database_ms=3.0,
    ai="healthy",
)
FAILING = replace(FINE, errors=900)
SLOW = replace(FINE, histogram=((200.0, 9_000.0), (400.0, 1_000.0)))
QUIET = replace(FINE, requests=3, errors=0, handshakes=Handshakes(), histogram=())
ANA = Author("user:ana")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FlagSite]:
    with flag_site(tmp_path) as running:
        running.flags.editor.set("audio", {"enabled": False}, ANA)
        yield running


class Stage:
    """A rollout whose time passes when it sleeps; figures depend on the percentage."""

    def __init__(self, site: FlagSite, figures: Callable[[float], Figures], **plan: Any) -> None:
        self.site, self.figures = site, figures
        self.now = 1_000_000.0
        self.history: list[tuple[float, float]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.plan = RolloutPlan("audio", (10, 25, 50, 100), 600.0, **plan)
        self.said: list[str] = []

    @property
    def percent(self) -> float:
        flag = self.site.flags.editor.flag("audio")[0]
        return flag.rollout_percent if flag.enabled else 0.0

    def run(self) -> dict[str, Any]:
        app = AppClient("green", self.site.url, token=TOKEN, answer_seconds=30)
        with FlagsClient(app) as client:
            rollout = Rollout(
                client,
                self.plan,
                self.said.append,
                measure=lambda _: self.figures(self.percent),
                clock=lambda: self.now,
                sleep=self._sleep,
            )
            rollout._changed_at = lambda: self.now - 100.0  # type: ignore[method-assign]
            return rollout.run()

    def _sleep(self, seconds: float) -> None:
        if not self.history or self.history[-1][1] != self.percent:
            self.history.append((self.now, self.percent))
        self.now += max(seconds, 50.0)
        self.meanwhile()


def test_a_healthy_flag_is_given_to_all_step_by_step(site: FlagSite) -> None:
    stage = Stage(site, lambda _: FINE)
    flag = stage.run()
    assert (flag["enabled"], flag["rollout_percent"]) == (True, 100.0)
    assert [percent for _, percent in stage.history] == [10, 25, 50, 100]
    times = [at for at, _ in stage.history]
    assert all(later - earlier >= 600 for earlier, later in pairwise(times))


@pytest.mark.parametrize("bad", [FAILING, SLOW, replace(FINE, database="unhealthy")])
def test_a_flag_that_does_harm_is_turned_off_and_its_percentage_kept(
    site: FlagSite, bad: Figures
) -> None:
    stage = Stage(site, lambda percent: bad if percent >= 25 else FINE)
    with pytest.raises(RolledBack, match="audio was turned off"):
        stage.run()
    flag = site.flags.editor.flag("audio")[0]
    assert (flag.enabled, flag.rollout_percent) == (False, 25.0)


def test_harm_that_begins_late_is_seen_in_a_short_window(site: FlagSite) -> None:
    late = replace(FINE, recent=(replace(FINE, requests=500, errors=100),))
    stage = Stage(site, lambda percent: late if percent >= 25 else FINE)
    with pytest.raises(RolledBack, match="100 of 500 requests failed"):
        stage.run()


def test_a_flag_may_be_held_where_it_is(site: FlagSite) -> None:
    stage = Stage(site, lambda percent: FAILING if percent >= 25 else FINE, on_fail="hold")
    with pytest.raises(OperatorError, match="stays where it is"):
        stage.run()
    assert stage.percent == 25


def test_nothing_begins_while_the_app_is_sick_already(site: FlagSite) -> None:
    with pytest.raises(OperatorError, match="even before it"):
        Stage(site, lambda _: FAILING).run()
    with pytest.raises(OperatorError):
        Stage(site, lambda _: Figures(fault="no answer")).run()
    assert Stage(site, lambda _: FINE).percent == 0


def test_too_little_traffic_is_waited_for_and_then_no_step_is_taken(site: FlagSite) -> None:
    stage = Stage(site, lambda percent: QUIET if percent else FINE)
    with pytest.raises(OperatorError, match="samples"):
        stage.run()
    assert stage.percent == 10
    assert stage.now - 1_000_000 >= 1_200


def test_nobody_gets_a_flag_before_there_is_enough_to_compare_with(site: FlagSite) -> None:
    stage = Stage(site, lambda _: FINE if stage.now >= 1_000_300 else QUIET)
    stage.run()
    assert stage.history[0] == (1_000_000.0, 0.0)
    assert stage.history[1][0] >= 1_000_300
    site.flags.editor.set("audio", {"enabled": False}, ANA)
    quiet = Stage(site, lambda _: QUIET)
    with pytest.raises(OperatorError, match="nothing tells"):
        quiet.run()
    assert quiet.percent == 0


@pytest.mark.parametrize("unreadable", [replace(FINE, stale=True), Figures(fault="no answer")])
def test_figures_that_cannot_be_read_are_never_gone_on_with(
    site: FlagSite, unreadable: Figures
) -> None:
    plan = {"no_data": "continue", "triggers": Triggers(streak=1_000)}
    stage = Stage(site, lambda percent: unreadable if percent else FINE, **plan)
    with pytest.raises(OperatorError, match="nothing tells"):
        stage.run()
    assert stage.percent == 10


def test_a_kill_between_the_last_look_and_the_step_stays_a_kill(
    site: FlagSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, read = Stage(site, lambda _: FINE), FlagsClient.read

    def read_just_before_a_kill(client: FlagsClient, key: str) -> Any:
        found = read(client, key)
        if stage.percent == 25:
            site.flags.editor.set("audio", {"enabled": False}, ANA)
        return found

    monkeypatch.setattr(FlagsClient, "read", read_just_before_a_kill)
    with pytest.raises(OperatorError, match="Somebody changed enabled"):
        stage.run()
    assert stage.percent == 0


@pytest.mark.parametrize(("on_fail", "percent"), [("off", 0), ("hold", 10)])
def test_a_step_of_which_nobody_hears_whether_it_was_taken_is_taken_for_harm(
    site: FlagSite, monkeypatch: pytest.MonkeyPatch, on_fail: str, percent: float
) -> None:
    stage, take = Stage(site, lambda _: FINE, on_fail=on_fail), FlagsClient.set_if

    def taken_and_not_told(client: FlagsClient, *arguments: Any) -> Any:
        take(client, *arguments)
        raise AppUnreachable("green died before it answered")

    monkeypatch.setattr(FlagsClient, "set_if", taken_and_not_told)
    with pytest.raises(OperatorError, match="whether it took the step to 10 %"):
        stage.run()
    assert stage.percent == percent


def test_a_change_that_does_not_matter_here_ends_nothing(site: FlagSite) -> None:
    stage = Stage(site, lambda _: FINE)
    stage.meanwhile = lambda: site.flags.editor.set("audio", {"owner": str(stage.now)}, ANA)
    assert stage.run()["rollout_percent"] == 100


def test_too_little_traffic_may_be_gone_on_with(site: FlagSite) -> None:
    assert Stage(site, lambda _: QUIET, no_data="continue").run()["rollout_percent"] == 100


def test_a_rollout_that_was_ended_goes_on_where_it_was(site: FlagSite) -> None:
    site.flags.editor.set("audio", {"enabled": True, "rollout_percent": 25}, ANA)
    stage = Stage(site, lambda _: FINE)
    stage.run()
    assert [percent for _, percent in stage.history] == [25, 50, 100]
    assert stage.history[1][0] - stage.history[0][0] == 500, "100 s had passed already"


def test_somebody_elses_kill_ends_the_rollout(site: FlagSite) -> None:
    stage = Stage(site, lambda _: FINE)

    def kill() -> None:
        if stage.percent == 25:
            site.flags.editor.set("audio", {"enabled": False}, ANA)

    stage.meanwhile = kill
    with pytest.raises(OperatorError, match="Somebody changed enabled"):
        stage.run()
    assert stage.percent == 0


def test_no_step_is_taken_while_the_flags_are_stale(
    site: FlagSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(site.flags.cache), "stale", property(lambda _: True))
    with pytest.raises(OperatorError, match="stale"):
        Stage(site, lambda _: FINE).run()


@pytest.mark.parametrize("steps", [(), (0, 10), (10, 10), (25, 10), (50, 101)])
def test_steps_must_grow_up_to_a_hundred(steps: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError):
        RolloutPlan("audio", steps, 60.0)


def test_a_flag_that_does_not_exist_is_not_made(site: FlagSite) -> None:
    site.flags.editor.delete("audio", ANA)
    with pytest.raises(ConfigurationError, match="no flag audio"):
        Stage(site, lambda _: FINE).run()
