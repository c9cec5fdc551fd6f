"""What the judge says of two colours, over a real socket."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mina_ops.operator.judge import poller
from mina_ops.operator.release.verdicts.model import NumberTrigger
from tests.operator.judge.conftest import GATE_TOKEN, Judge, die, judging, well
from tests.operator.stand_in import StandIns
from tests.support.wait import eventually

BEARER = {"Authorization": f"Bearer {GATE_TOKEN}"}


def verdict(judge: Judge) -> dict[str, Any]:
    answer = httpx.get(f"{judge.url}/verdict", headers=BEARER, timeout=10)
    assert answer.status_code == 200
    return dict(answer.json())


def test_a_sound_release_passes_and_says_who_was_judged(judge: Judge) -> None:
    body = verdict(judge)
    assert (body["verdict"], body["response"]) == ("pass", "none")
    assert body["new"] == {"environment": "green", "version": "v2.0.0"}
    assert body["old"] == {"environment": "blue", "version": "v1.0.0"}
    assert {f["trigger"] for f in body["findings"]} > {"error_rate", "p95", "database"}


def test_errors_fail_it_at_the_next_question(judge: Judge) -> None:
    assert verdict(judge)["verdict"] == "pass"
    well(judge.green, errors=400)
    body = verdict(judge)
    assert (body["verdict"], body["response"]) == ("fail", "instant")
    assert "20" in body["reasons"][0]


@pytest.mark.parametrize("missing", ["errors", "histogram", "websockets"])
def test_without_samples_nothing_passes(judge: Judge, missing: str) -> None:
    judge.green.metrics[missing] = {}
    judge.blue.metrics["websockets"] = {"attempts": 900, "accepted": 900, "failed_by_server": 0}
    assert verdict(judge)["verdict"] == "inconclusive"


def test_stale_figures_pass_and_fail_nothing(judge: Judge) -> None:
    well(judge.green, errors=400)
    judge.green.metrics["errors"]["stale"] = True
    assert verdict(judge)["verdict"] == "inconclusive"


def test_a_fault_that_both_show_is_for_a_person_not_for_the_way_back(judge: Judge) -> None:
    for fleet in (judge.green, judge.blue):
        fleet.failing = ("database",)
    eventually(lambda: verdict(judge)["response"] == "hold")
    assert verdict(judge)["verdict"] == "inconclusive"


def test_a_state_fails_after_three_looks_also_after_a_restart(apps: StandIns, judge: Judge) -> None:
    judge.green.failing = ("database",)
    eventually(lambda: verdict(judge)["verdict"] == "fail")
    with judging(apps) as again:
        first = verdict(again)
        # What the one before had seen is gone; what it did not see passes nothing.
        assert first["verdict"] in ("inconclusive", "fail")
        eventually(lambda: verdict(again)["verdict"] == "fail")


def test_no_release_is_no_pass_though_all_is_well(judge: Judge) -> None:
    """Before a canary's first pod is there, its Service of Argo leads to the stable pods."""
    judge.green.colour = "blue"
    body = verdict(judge)
    assert body["verdict"] == "inconclusive"
    assert body["reasons"] == ["no release: green and blue both answer as blue"]


def test_a_version_that_died_does_not_fail_the_one_that_follows(judge: Judge) -> None:
    green = judge.apps.instances["green"][0]
    assert verdict(judge)["verdict"] == "pass"
    die(judge.apps, "green")
    eventually(lambda: verdict(judge)["verdict"] == "fail")
    judge.green.version = "v3.0.0"
    judge.apps.start_instance(green)
    # The very next answer: an engine that asks once a minute would take the new one back.
    assert verdict(judge)["verdict"] == "pass"


def test_one_that_was_taken_away_long_ago_has_not_failed_now(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verdict(judge)["verdict"] == "pass"
    die(judge.apps, "green")
    eventually(lambda: verdict(judge)["verdict"] == "fail")
    monkeypatch.setattr(poller, "_GONE_SECONDS", 0.0)
    body = verdict(judge)
    assert (body["verdict"], body["reasons"]) == ("inconclusive", ["green does not answer yet"])


def test_one_that_never_answered_is_not_bad_it_has_not_begun(apps: StandIns) -> None:
    for fleet in apps.fleets.values():
        well(fleet)
    for instance in apps.instances["green"]:
        apps.stop_instance(instance)
    with judging(apps) as judge:
        for _ in range(5):
            assert verdict(judge)["verdict"] == "inconclusive"


def test_a_colour_that_hangs_is_answered_for_in_time_and_fails(apps: StandIns) -> None:
    for fleet in apps.fleets.values():
        well(fleet)
    with judging(apps, answer_seconds=0.5) as judge:
        assert verdict(judge)["verdict"] == "pass"
        for instance in apps.instances["green"]:
            instance.silent = True
        body = eventually(
            lambda: next((b for b in [verdict(judge)] if b["verdict"] == "fail"), None)
        )
    assert body["reasons"][0].endswith("green does not answer in time")


def test_a_change_since_the_release_began_needs_somebody_who_saw_the_time_before(
    apps: StandIns,
) -> None:
    for fleet in apps.fleets.values():
        well(fleet)
        fleet.metrics["sessions/active"] = {"active_sessions": 100}
    sessions = NumberTrigger(
        "sessions", figure="sessions/active:active_sessions", change_percent=50
    )
    with judging(apps, numbers=(sessions,)) as judge:
        # Begun in the middle of a release.
        reasons = verdict(judge)["reasons"]
        assert reasons == [
            "sessions: sessions is 100; nobody here saw what it was before this release"
        ]
        judge.green.colour = "blue"
        eventually(lambda: verdict(judge)["reasons"][0].startswith("no release"))
        judge.green.colour = "green"
        assert verdict(judge)["verdict"] == "pass"
        judge.green.metrics["sessions/active"] = {"active_sessions": 10}
        eventually(lambda: verdict(judge)["verdict"] == "fail")
