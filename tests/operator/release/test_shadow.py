"""A release is judged by copies of visitors' requests before its first visitor."""

from __future__ import annotations

import json
import re

import pytest

from mina_ops.operator.config.settings import load
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.base import Reading
from tests.operator.release.stand import QUICK, Stand, ended, traffic
from tests.support.wait import eventually

SHADOW = QUICK.replace("[release]\n", "[release]\nshadow_seconds = 1\n").replace(
    "patience_seconds = 0", "patience_seconds = 60"
)
LONG = SHADOW.replace("shadow_seconds = 1", "shadow_seconds = 600")


def prepared(stand: Stand, balancer: str, plan: str) -> int:
    """The public port of that load balancer, which serves; its release is this plan."""
    port = stand.port if balancer == "nginx" else stand.envoy.port
    stand.plan(plan, balancer=balancer)
    return port


def served(stand: Stand) -> Reading:
    """What the plan's load balancer does now."""
    return open_driver(load(stand.file)).read()


def until_mirrored(stand: Stand) -> None:
    eventually(lambda: any("mirrored" in entry for entry in stand.entries()), 45)


@pytest.mark.parametrize("balancer", ["nginx", "envoy"])
def test_a_green_that_fails_a_fifth_of_the_gets_is_refused_before_its_first_visitor(
    stand: Stand, balancer: str
) -> None:
    port = prepared(stand, balancer, SHADOW)
    stand.faults("green", error_percent=20)
    with traffic(port) as seen:
        outcome = stand.run("release", "start", "v2")
    assert outcome.code == 1, outcome.err
    assert "failed in shadow, before any traffic moved" in outcome.err
    assert re.search(r"\d+ of \d+ requests failed \([12]\d\.\d+ %\), the limit is 5 %", outcome.err)
    assert (set(seen["status"]), set(seen["colour"])) == ({"200"}, {"blue"})
    assert served(stand).split.mirror is None
    assert stand.share_of_green() == 0
    assert not [entry for entry in stand.entries() if entry["event"] == "step"]


@pytest.mark.parametrize("balancer", ["nginx", pytest.param("envoy", marks=pytest.mark.long)])
def test_a_sound_green_passes_by_what_it_answered_to_copies(stand: Stand, balancer: str) -> None:
    port = prepared(stand, balancer, SHADOW)
    with traffic(port) as seen:
        outcome = stand.run("release", "start", "v2", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["phase"] == "done"
    assert set(seen["status"]) == {"200"}
    assert served(stand).split.mirror is None
    passed = next(e for e in stand.entries() if e["phase"] == "shadow" and "passed" in e)
    errors = next(one for one in passed["verdicts"] if one.startswith("error_rate"))
    assert int(re.findall(r"of (\d+) requests", errors)[0]) >= 45
    told = stand.run("release", "show", "v2").out
    assert "mirrored: 100 % of GETs, what is answered reaches nobody" in told


@pytest.mark.long
def test_a_green_that_is_slow_is_refused_by_its_gets_alone(stand: Stand) -> None:
    slow = SHADOW.replace("p95_increase_ms = 60000", "p95_increase_ms = 100")
    port = prepared(stand, "nginx", slow)
    stand.faults("green", slow_ms=300)
    with traffic(port) as seen:
        outcome = stand.run("release", "start", "v2")
    assert outcome.code == 1, outcome.err
    assert "P95" in outcome.err
    assert set(seen["colour"]) == {"blue"}


def test_a_mirror_ends_while_paused_and_is_there_again_after_resume(stand: Stand) -> None:
    prepared(stand, "nginx", LONG)
    release = stand.start("release", "start", "v2")
    until_mirrored(stand)
    assert "GETs are mirrored to green" in stand.run("release", "status").out
    stand.run("release", "pause")
    eventually(lambda: served(stand).split.mirror is None, 20)
    stand.run("release", "resume")
    eventually(lambda: served(stand).split.mirror is not None, 20)
    stand.run("release", "abort", "--why", "enough")
    assert ended(release).code == 1
    assert served(stand).split.mirror is None


def test_a_dead_controllers_mirror_is_ended_by_an_abort(stand: Stand) -> None:
    prepared(stand, "nginx", LONG)
    release = stand.start("release", "start", "v2")
    until_mirrored(stand)
    release.kill()
    ended(release)
    mirror = served(stand).split.mirror
    assert mirror is not None
    assert mirror.seconds <= 60, "so long the load balancer goes on by itself"
    done = stand.run("release", "abort")
    assert done.code == 0, done.err
    assert served(stand).split.mirror is None
    assert stand.status()["phase"] == "failed"


@pytest.mark.long
def test_a_dead_controllers_release_goes_on_with_its_mirror(stand: Stand) -> None:
    port = prepared(stand, "nginx", LONG)
    release = stand.start("release", "start", "v2", "--shadow", "500")
    until_mirrored(stand)
    release.kill()
    ended(release)
    with traffic(port):
        release = stand.start("release", "resume")
        eventually(lambda: len([e for e in stand.entries() if "mirrored" in e]) == 2, 45)
        stand.run("release", "promote")
        assert ended(release).code == 0
    assert served(stand).split.mirror is None
    assert "--shadow 500" in stand.run("release", "show", "v2").out


@pytest.mark.long
def test_somebody_else_who_ends_the_mirror_holds_the_release(stand: Stand) -> None:
    prepared(stand, "nginx", LONG)
    release = stand.start("release", "start", "v2")
    until_mirrored(stand)
    assert stand.run("switch", "green", "blue", "--instant", "--force").code == 0
    assert served(stand).split.mirror is None
    held = "somebody else moved traffic"
    eventually(lambda: any(held in e.get("reason", "") for e in stand.entries()), 30)
    assert served(stand).split.mirror is None
    stand.run("release", "resume")
    eventually(lambda: served(stand).split.mirror is not None, 20)
    stand.run("release", "abort")
    assert ended(release).code == 1
    assert served(stand).split.mirror is None
