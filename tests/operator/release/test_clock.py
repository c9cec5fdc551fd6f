"""A machine's clock is set while a release runs: real controllers under a clock that steps."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.operator.release.stand import QUICK, Stand, ended
from tests.support.clock import Clock
from tests.support.wait import eventually

HOURS = 3600
WATCHED = QUICK.replace("step_seconds = 0.3", "step_seconds = 400")


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """The controller's wall clock, which the test sets."""
    return Clock(tmp_path / "clock")


def _moments(stand: Stand) -> list[float]:
    return [entry["at"] for entry in stand.entries()]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_set_while_a_share_is_watched_changes_nothing(
    stand: Stand, clock: Clock, hours: int
) -> None:
    stand.plan(WATCHED)
    release = stand.start("release", "start", "v2", clock=clock)
    stand.until_given(50)
    clock.set(hours * HOURS)
    refused = stand.run("release", "start", "v3")
    assert refused.code == 4, refused.err
    assert stand.status()["running"]
    assert release.poll() is None
    assert stand.share_of_green() == 50
    stand.run("release", "promote")
    stand.until_given(100)
    stand.run("release", "promote")
    assert ended(release).code == 0
    moments = _moments(stand)
    # The clock really was set: the journal tells the time that the machine showed.
    assert any(abs(late - early) > HOURS for early, late in pairwise(moments))
    assert stand.status()["phase"] == "done"


def test_a_wait_for_approval_ends_in_its_time_though_the_clock_steps_back(
    stand: Stand, clock: Clock
) -> None:
    stand.plan(QUICK + "[release.approvals]\nswitch = 3\n")
    release = stand.start("release", "start", "v2", clock=clock)
    eventually(lambda: "smoke" in [e["phase"] for e in stand.entries() if e["event"] == "end"], 45)
    clock.set(-2 * HOURS)
    outcome = ended(release)
    assert outcome.code == 1
    assert "nobody approved switch within 3 s" in outcome.err
    assert stand.share_of_green() == 0


def test_a_wait_for_approval_lasts_though_the_clock_steps_forward(
    stand: Stand, clock: Clock
) -> None:
    stand.plan(QUICK + "[release.approvals]\nswitch = 600\n")
    release = stand.start("release", "start", "v2", clock=clock)
    eventually(lambda: "smoke" in [e["phase"] for e in stand.entries() if e["event"] == "end"], 45)
    clock.set(2 * HOURS)
    # What is asked just before the wait begins does not count, so it is asked until it does.
    eventually(lambda: _is_promoted(stand), 45)
    assert ended(release).code == 0
    assert stand.share_of_green() == 100


def _is_promoted(stand: Stand) -> bool:
    stand.run("release", "promote")
    return any(entry.get("kind") == "promote" for entry in stand.entries())


@pytest.mark.parametrize(("act", "code", "green"), [("resume", 0, 100), ("abort", 0, 0)])
def test_a_killed_release_is_ended_under_an_earlier_clock(
    stand: Stand, clock: Clock, act: str, code: int, green: int
) -> None:
    stand.plan(WATCHED)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    release.kill()
    ended(release)
    clock.set(-2 * HOURS)
    stand.plan(QUICK)
    outcome = stand.run("release", act, clock=clock)
    assert outcome.code == code, outcome.err
    assert stand.share_of_green() == green


def test_the_history_stays_in_order_under_an_earlier_clock(stand: Stand, clock: Clock) -> None:
    assert stand.run("release", "start", "v2").code == 0
    assert stand.run("rollback").code == 0
    clock.set(-2 * HOURS)
    # The second release is refused for its version, and is a release all the same.
    assert stand.run("release", "start", "v3", clock=clock).code == 1
    history = json.loads(stand.run("release", "history", "--json").out)["releases"]
    assert [(one["version"], one["phase"]) for one in history] == [
        ("v3", "failed"),
        ("v2", "rolled_back"),
    ]
    assert stand.status()["version"] == "v3"
