"""`mina-ops status`, `drain` and `watch` over stand-in colours."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

from mina_ops.operator.release.journal import Journal
from mina_ops.operator.release.lock import ReleaseLock
from mina_ops.operator.release.model import Phase
from mina_ops.operator.traffic.model import Split
from tests.cli.conftest import Run
from tests.operator.balancers import Balancer
from tests.operator.stand_in import TOKEN, StandIns
from tests.support.command import MINA_OPS


def test_both_colours_are_shown_side_by_side(run: Run, apps: StandIns) -> None:
    apps.fleets["blue"].counts = [247]
    ran = run("status")
    assert ran.code == 0
    header, blue, green = ran.out.splitlines()
    assert header.split() == ["colour", "share", "health", "ready", "version", "live", "drain",
                              "errors", "P95", "handshakes"]  # fmt: skip
    nothing = ["-", "-", "-"]
    assert blue.split() == [
        *("blue", "100", "%", "healthy", "yes", "v1.0.0", "247", "serving"),
        *nothing,
    ]
    assert green.split() == [
        *("green", "0", "%", "healthy", "yes", "v1.0.0", "0", "serving"),
        *nothing,
    ]


def test_errors_and_failed_handshakes_of_a_serving_colour_are_exit_3(
    run: Run, apps: StandIns
) -> None:
    apps.fleets["blue"].metrics = {
        "errors": {"requests": 1000, "errors": 300},
        "websockets": {"attempts": 80, "failures": {"http_500": 80}},
    }
    ran = run("status")
    assert ran.code == 3
    assert "blue gets traffic and is bad: 300 of 1000 requests failed (30.00 %)" in ran.err
    blue = ran.out.splitlines()[1].split()
    assert blue[-5:] == ["30.00", "%", "-", "0.0", "%"]


def test_sessions_on_a_colour_without_share_are_shown_as_what_they_are(
    run: Run, apps: StandIns
) -> None:
    apps.fleets["green"].counts = [4]
    told = "green: has no share; its 4 live connections are those that it had before"
    assert told in run("status").out


def test_a_share_that_is_not_what_was_given_is_shown(
    run: Run, nginx: Balancer, apps: StandIns
) -> None:
    nginx.driver.apply(Split({"blue": 50, "green": 50}))
    apps.fleets["blue"].metrics = {"errors": {"samples": 980}}
    apps.fleets["green"].metrics = {"errors": {"samples": 20}}
    ran = run("status", "--json").json["colours"]
    assert ran["green"]["measured_percent"] == 2.0
    assert "over the last minute" in run("status").out
    apps.fleets["green"].metrics = {"errors": {"samples": 960}}
    assert "over the last minute" not in run("status").out


def test_a_release_with_its_reason_a_freeze_and_whoever_is_at_work_are_shown(
    run: Run, nginx: Balancer
) -> None:
    folder = nginx.toml.parent / "releases"
    journal = Journal.create(folder, "v2")
    journal.write("note", Phase.CHECKS, version="v2", to="green", **{"from": "blue"})
    journal.write("begin", Phase.SWITCH)
    journal.write("step", Phase.SWITCH, percent=25)
    journal.write("note", Phase.SWITCH, notice="paused", reason="nothing to judge by: p95")
    assert run("release", "freeze", "--why", "holidays").code == 0
    with ReleaseLock(folder, "release v2"):
        shown = run("status").out
    assert "switch, 25 % on green, paused" in shown
    assert "because: paused: nothing to judge by: p95" in shown
    assert "at work: release v2: " in shown
    assert "releases are frozen by" in shown
    assert "holidays" in shown


def test_status_as_json_has_everything(run: Run, apps: StandIns) -> None:
    apps.fleets["green"].status, apps.fleets["green"].failing = "degraded", ("redis",)
    value = run("status", "--json").json
    assert value["traffic"]["split"]["percent"] == {"blue": 100, "green": 0}
    green = value["colours"]["green"]
    assert (green["status"], green["failing"], green["percent"]) == ("degraded", ["redis"], 0)
    assert value["colours"]["blue"]["active_connections"] == 0


def test_a_serving_colour_that_is_sick_is_exit_3(run: Run, apps: StandIns) -> None:
    apps.instances["green"][0].ready = False
    assert run("status").code == 0
    apps.instances["blue"][0].ready = False
    ran = run("status")
    assert (ran.code, ran.err) == (3, "mina-ops: blue gets traffic and is not ready.\n")


def test_a_serving_colour_that_is_gone_is_exit_3_and_the_other_is_shown(
    run: Run, apps: StandIns
) -> None:
    apps.stop_instance(apps.instances["blue"][0])
    ran = run("status", "--json")
    assert ran.code == 3
    assert not ran.json["colours"]["blue"]["reachable"]
    assert ran.json["colours"]["green"]["ready"]
    assert "blue gets traffic and cannot be reached" in ran.err


def test_status_without_a_load_balancer_shows_the_colours(run: Run, nginx: Balancer) -> None:
    nginx.stop()
    ran = run("status")
    assert ran.code == 7
    assert "?" in ran.out
    assert ran.out.count("healthy") == 2


def test_a_drain_is_ordered(run: Run, apps: StandIns) -> None:
    apps.fleets["blue"].counts = [12]
    ran = run("drain", "mina-blue", "--grace", "5")
    assert (ran.code, ran.out) == (0, "blue is draining, 12 live connections\n")
    assert apps.fleets["blue"].drain["grace_seconds"] == 5
    assert run("drain", "blue", "--cancel").out == "blue is serving, 12 live connections\n"


def test_a_drain_that_is_waited_for_shows_the_count_falling(run: Run, apps: StandIns) -> None:
    apps.fleets["blue"].counts = [247, 156, 156, 5, 0]
    ran = run("drain", "blue", "--wait")
    assert (ran.code, ran.out) == (0, "blue is drained, 0 live connections\n")
    assert ran.err.splitlines() == [
        "blue is draining, 156 live connections",
        "blue is draining, 5 live connections",
        "blue is drained, 0 live connections",
    ]


def test_cut_sessions_are_exit_9(run: Run, apps: StandIns) -> None:
    apps.fleets["blue"].report = {"forced": 2, "unflushed": ["audio:7"]}
    apps.fleets["blue"].counts = [1, 0]
    ran = run("drain", "blue", "--wait", "--json")
    assert ran.code == 9
    assert ran.json["forced"] == 2
    assert "2 sessions were cut" in ran.err


def test_a_wrong_token_is_exit_8(run: Run, apps: StandIns) -> None:
    ran = run("drain", "blue", token="wrong")
    assert ran.code == 8
    assert "it was refused" in ran.err
    assert "wrong" not in ran.err
    assert run("drain", "blue", token=None).code == 8
    assert apps.fleets["blue"].drain == {"state": "serving"}


def test_a_drain_of_nobody_is_exit_3_or_2(run: Run, apps: StandIns) -> None:
    assert run("drain", "purple").code == 2
    assert run("drain", "blue", "--wait", "--cancel").code == 2
    assert run("drain", "blue", "--grace", "-1").code == 2
    apps.stop_instance(apps.instances["blue"][0])
    assert run("drain", "blue").code == 3


def test_a_dry_drain_orders_nothing(run: Run, apps: StandIns) -> None:
    ran = run("drain", "blue", "--dry-run")
    assert ran.out == f"POST http://{apps.instances['blue'][0].address}/admin/drain\n"
    assert apps.fleets["blue"].drain == {"state": "serving"}


def test_watch_prints_the_playbooks_lines_and_alerts_once(
    run: Run, apps: StandIns, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    alert = tmp_path / "alert"
    alert.write_text(f'#!/bin/sh\nprintf "%s %s\\n" "$MINA_OPS_STATE" "$1" >> {told}\n')
    alert.chmod(alert.stat().st_mode | stat.S_IXUSR)
    options = ("--interval", "0.1", "--rounds", "4", "--alert", str(alert))
    assert run("watch", "blue", *options).out.splitlines() == ["✅ HEALTHY: blue"] * 4
    assert not told.exists()
    apps.fleets["blue"].status, apps.fleets["blue"].failing = "degraded", ("redis",)
    ran = run("watch", "blue", *options)
    assert ran.code == 3
    assert ran.out.splitlines() == ["❌ UNHEALTHY: blue is degraded: redis"] * 4
    assert told.read_text() == "down Environment blue is unhealthy\n"


def test_an_alert_that_fails_does_not_end_the_watch(run: Run, apps: StandIns) -> None:
    apps.fleets["blue"].status = "degraded"
    options = ("--interval", "0.1", "--rounds", "4")
    for alert in ("false", "no-such-command"):
        ran = run("watch", "blue", *options, "--alert", alert)
        assert len(ran.out.splitlines()) == 4
        assert "The alert command failed" in ran.err


def test_watch_as_json_is_a_line_for_each_look(run: Run) -> None:
    ran = run("watch", "--interval", "0.1", "--rounds", "2", "--json")
    looks = [json.loads(line) for line in ran.out.splitlines()]
    assert [look["colour"] for look in looks] == ["blue", "green"] * 2
    assert all(look["healthy"] and look["up"] for look in looks)


def test_watch_takes_a_sick_colour_out(run: Run, nginx: Balancer, apps: StandIns) -> None:
    apps.fleets["blue"].status = "degraded"
    ran = run("watch", "--interval", "0.1", "--rounds", "3", "--take-out")
    assert "blue is taken out: blue 0 %, green 100 %" in ran.err
    assert nginx.get("/").colour == "green"


def test_watch_keeps_traffic_where_both_are_sick(run: Run, nginx: Balancer, apps: StandIns) -> None:
    apps.fleets["blue"].status = "degraded"
    apps.instances["green"][0].ready = False
    ran = run("watch", "blue", "--interval", "0.1", "--rounds", "3", "--take-out")
    assert "Traffic stays as it is: green is not ready" in ran.err
    assert nginx.driver.read().split.percent["blue"] == 100


def test_on_a_terminal_the_falling_count_is_live(nginx: Balancer, apps: StandIns) -> None:
    apps.fleets["blue"].counts = [247, 156]
    environment = {**os.environ, "MINA_OPS_CONFIG": str(nginx.toml), "MINA_OPS_TOKEN": TOKEN}
    terminal, inside = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [MINA_OPS, "drain", "blue", "--wait"],
            stderr=inside,
            stdout=subprocess.PIPE,
            env={**environment, "TERM": "xterm", "COLUMNS": "100"},
        )
        os.close(inside)
        shown = b""
        with suppress(OSError):  # the terminal is gone once the process has ended
            while data := screen.read(4096):
                shown += data
                if b"156 live connections" in shown:
                    apps.fleets["blue"].counts = [0]
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"blue is drained, 0 live connections\n")
    assert b"156 live connections" in shown
    assert b"\x1b[" in shown
