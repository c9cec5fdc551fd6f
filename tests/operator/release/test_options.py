"""Options of `release start` and `rollback`, and what a release tells the app of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mina_ops.operator.api.client import AppClient
from mina_ops.operator.traffic.model import Split
from tests.operator.release.stand import QUICK, TOKEN, Stand, ended
from tests.support.wait import eventually

LONG = QUICK.replace("step_seconds = 0.3", "step_seconds = 300")


@pytest.mark.usefixtures("half_of_blue_is_down")
def test_a_hotfix_is_released_while_half_of_blue_is_down(stand: Stand) -> None:
    refused = stand.run("release", "start", "v2")
    assert refused.code == 1
    assert "`mina-ops release start v2 --hotfix` goes on" in refused.err
    assert stand.share_of_green() == 0
    outcome = stand.run("release", "start", "v2", "--hotfix")
    assert outcome.code == 0, outcome.err
    assert "hotfix, although blue" in outcome.err
    assert stand.share_of_green() == 100


def test_a_release_goes_to_the_named_colour_and_never_to_one_that_serves(stand: Stand) -> None:
    refused = stand.run("release", "start", "v2", "--to", "blue")
    assert refused.code == 2
    assert "blue has traffic" in refused.err
    assert stand.run("release", "start", "v2", "--to", "green").code == 0
    assert stand.share_of_green() == 100


def test_a_rollback_to_a_colour_needs_no_journal(stand: Stand) -> None:
    stand.driver.apply(Split.all_to("blue", stand.settings.colours).giving("green", 50))
    unknown = stand.run("rollback")
    assert unknown.code == 2
    assert "`mina-ops rollback --to blue`" in unknown.err
    outcome = stand.run("rollback", "--to", "blue")
    assert outcome.code == 0, outcome.err
    assert stand.share_of_green() == 0


def test_a_rollback_can_be_foreseen_and_changes_nothing_then(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stand.run("rollback", "--dry-run").code == 2
    by_hand = json.loads(stand.run("rollback", "--to", "green", "--dry-run", "--json").out)
    assert (by_hand["version"], by_hand["to"], by_hand["problem"]) == ("by-hand", "green", None)
    assert stand.run("release", "start", "v2").code == 0
    before = stand.entries()
    foreseen = stand.run("rollback", "--dry-run")
    assert foreseen.code == 0, foreseen.err
    assert "Switch the flags off that belong to v2" in foreseen.out
    assert "Send everybody to blue, which runs v1" in foreseen.out
    assert (stand.share_of_green(), stand.entries()) == (100, before)
    monkeypatch.setenv("MINA_OPS_PATIENCE", "1")
    stand.colours["blue"].pause()
    try:
        useless = stand.run("rollback", "--dry-run")
    finally:
        stand.colours["blue"].resume()
    assert useless.code == 7
    assert "It would not go back now: blue" in useless.err
    assert stand.share_of_green() == 100


def test_another_machine_sees_the_time_left_and_pauses_a_release_through_the_app(
    stand: Stand,
) -> None:
    stand.plan(LONG)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    first = eventually(lambda: _reported(stand, seconds_left=True), 20)
    assert not first["paused"]
    assert 200 < first["seconds_left"] <= 300
    elsewhere = stand.folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    file = elsewhere / "mina-ops.toml"
    file.write_text(stand.file.read_text())
    paused = stand.run("--config", str(file), "release", "pause")
    assert paused.code == 0, paused.err
    assert "runs, to pause." in paused.out
    assert eventually(lambda: _reported(stand, paused=True), 20)["percent"] == 50
    assert stand.run("release", "resume").code == 0
    eventually(lambda: _reported(stand, paused=False), 20)
    assert stand.run("release", "abort").code == 0
    assert ended(release).code == 5
    assert _reported(stand)["phase"] == "rolled_back"


def _reported(
    stand: Stand, *, paused: bool | None = None, seconds_left: bool = False
) -> dict[str, Any]:
    """What the app knows of the newest release; {} unless it is as wanted."""
    with AppClient("green", stand.colours["green"].url, token=TOKEN) as green:
        status, body = green.request("GET", "/admin/releases", admin=True)
    assert status == 200
    newest: dict[str, Any] = body["releases"][0] if body["releases"] else {}
    wrong = paused is not None and newest.get("paused") is not paused
    wrong |= seconds_left and newest.get("seconds_left") is None
    return {} if wrong else newest
