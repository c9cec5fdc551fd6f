"""The playbook's traffic scripts, run as the playbook types them, over a real nginx."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.operator.balancers import Balancer
from tests.operator.stand_in import TOKEN, StandIns
from tests.support.webhook import Webhook, receiving

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
OURS = ("switch_traffic.sh", "admin_drain.sh", "health_check_loop.sh", "send_alert.sh")
OURS = (*OURS, "nginx_update_weights")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script run from another folder than its own, as cron would."""
    return subprocess.run(
        [str(SCRIPTS / name), *arguments],
        cwd="/",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def run(nginx: Balancer) -> Run:
    """Runs a script with the settings of `nginx` and an admin's token."""

    def runs(name: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {"MINA_OPS_CONFIG": str(nginx.toml), "MINA_OPS_TOKEN": TOKEN}
        return script(name, *arguments, **{**environment, **more})

    return runs


def green(nginx: Balancer) -> int:
    return nginx.driver.read().split.percent["green"]


@pytest.mark.parametrize("name", OURS)
def test_the_header_is_the_help(name: str) -> None:
    done = script(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: {name}" in done.stdout
    assert "Exit codes:" in done.stdout
    assert "#" not in done.stdout.splitlines()[0]


@pytest.mark.parametrize("name", OURS)
def test_no_argument_is_exit_2_with_the_usage(name: str) -> None:
    done = script(name)
    assert done.returncode == 2
    assert f"{name}: needs " in done.stderr
    assert f"Usage: {name}" in done.stderr


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("switch_traffic.sh", ("blue", "green", "--fast")),
        ("switch_traffic.sh", ("blue", "green", "--canary")),
        ("admin_drain.sh", ("blue", "--now")),
        ("health_check_loop.sh", ("blue", "5", "--forever")),
        ("nginx_update_weights", ("green", "25", "--fast")),
    ],
)
def test_an_unknown_argument_is_exit_2(name: str, arguments: tuple[str, ...]) -> None:
    done = script(name, *arguments)
    assert done.returncode == 2
    assert f"Usage: {name}" in done.stderr


@pytest.mark.parametrize("name", ["switch_traffic.sh", "admin_drain.sh", "health_check_loop.sh"])
def test_a_missing_mina_ops_is_exit_6(name: str) -> None:
    done = script(name, "blue", "green", MINA_OPS="mina-ops-not-here")
    if name == "switch_traffic.sh":
        assert "✅" not in done.stdout
    if name != "switch_traffic.sh":
        done = script(name, "blue", MINA_OPS="mina-ops-not-here")
    assert done.returncode == 6
    assert "mina-ops-not-here is not installed" in done.stderr


HOSTILE = (
    "$(touch hacked)",
    "`touch hacked`",
    "blue; touch hacked",
    "a b\tc",
    "*",
    "bl\nue",
    "~",
    "é'\"",
)


@pytest.mark.parametrize("word", HOSTILE)
def test_a_word_reaches_mina_ops_in_one_piece_and_is_never_run(tmp_path: Path, word: str) -> None:
    said = tmp_path / "mina ops"
    said.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    said.chmod(0o755)
    alert = f"{SCRIPTS / 'send_alert.sh'}"
    for name, arguments, told in (
        ("switch_traffic.sh", (word, "green"), f"<switch><--instant><--><{word}><green>"),
        ("switch_traffic.sh", ("blue", word), f"<switch><--instant><--><blue><{word}>"),
        (
            "switch_traffic.sh",
            ("blue", "green", "--canary", word),
            f"<switch><--canary><{word}><--><blue><green>",
        ),
        (
            "admin_drain.sh",
            (word, "--grace", word),
            f"<drain><--wait><--grace><{word}><--><{word}>",
        ),
        (
            "health_check_loop.sh",
            (word, "--rounds", word),
            f"<watch><--interval><5><--alert><{alert}><--rounds><{word}><--><{word}>",
        ),
        ("nginx_update_weights", (word, word), f"<traffic><weight><--><{word}><{word}>"),
        ("send_alert.sh", (word, "--dry-run"), f"<notify><--dry-run><--><alert><{word}>"),
        ("notify_rollback.sh", (word,), f"<notify><--><rollback><{word}>"),
        ("notify_users.sh", ("--set", word), f"<incident><notify-users><--set><{word}>"),
    ):
        done = subprocess.run(
            [str(SCRIPTS / name), *arguments],
            cwd=tmp_path,
            env={**os.environ, "MINA_OPS": str(said)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"mina ops"}


def test_the_playbooks_switches_work_as_typed(run: Run, nginx: Balancer) -> None:
    shares = []
    for arguments in (
        ("blue", "green", "--canary", "10"),
        ("blue", "green", "--canary", "25"),
        ("blue", "green", "--instant"),
        ("green", "blue", "--canary", "75"),
        ("green", "blue", "--instant"),
        ("blue", "green"),
    ):
        done = run("switch_traffic.sh", *arguments)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        kind = "--canary" if "--canary" in arguments else "--instant"
        assert lines[0] == f"Switching traffic from {arguments[0]} to {arguments[1]} ({kind})"
        assert lines[-1] == "✅ Traffic switched successfully"
        shares.append(green(nginx))
    assert shares == [10, 25, 100, 25, 0, 100]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("blue", "purple", "--instant"), 2, "No colour 'purple'"),
        (("blue", "green", "--canary", "101"), 2, "101 is not in the range"),
        (("blue", "green", "--canary", "-5"), 2, "-5 is not in the range"),
        (("--", "green", "--instant"), 2, ""),
    ],
)
def test_a_refused_switch_has_no_tick(
    run: Run, nginx: Balancer, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run("switch_traffic.sh", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "✅" not in done.stdout
    assert "failed at" not in done.stderr
    assert green(nginx) == 0


def test_a_switch_to_a_colour_that_is_not_ready_is_exit_3(
    run: Run, nginx: Balancer, apps: StandIns
) -> None:
    apps.instances["green"][0].ready = False
    done = run("switch_traffic.sh", "blue", "green", "--instant")
    assert done.returncode == 3
    assert "green is not ready" in done.stderr
    assert "✅" not in done.stdout
    assert green(nginx) == 0
    assert run("switch_traffic.sh", "blue", "green", "--instant", "--force").returncode == 0


def test_a_dry_switch_claims_nothing(run: Run, nginx: Balancer) -> None:
    done = run("switch_traffic.sh", "blue", "green", "--canary", "10", "--dry-run")
    assert done.returncode == 0
    assert "rename" in done.stdout
    assert "✅" not in done.stdout
    assert green(nginx) == 0


def test_weights_are_updated_as_the_playbooks_script_calls_it(run: Run, nginx: Balancer) -> None:
    assert run("nginx_update_weights", "green", "25").returncode == 0
    assert green(nginx) == 25
    assert run("nginx_update_weights", "blue", "90").returncode == 0
    assert green(nginx) == 10
    assert run("nginx_update_weights", "green", "x").returncode == 2
    assert run("nginx_update_weights", "green", "50", "--dry-run").returncode == 0
    assert green(nginx) == 10


def test_a_drain_shows_the_count_falling(run: Run, apps: StandIns) -> None:
    apps.fleets["blue"].counts = [247, 156, 78, 0]
    done = run("admin_drain.sh", "mina-blue")
    assert done.returncode == 0
    assert "156 live connections" in done.stderr
    assert done.stdout == "blue is drained, 0 live connections\n"
    assert apps.fleets["blue"].drain["grace_seconds"] == 30


def test_a_drain_is_ordered_cancelled_and_rehearsed(run: Run, apps: StandIns) -> None:
    fleet = apps.fleets["blue"]
    # Without the variable it is the checkout's command.
    assert "POST http" in run("admin_drain.sh", "blue", "--dry-run", MINA_OPS="").stdout
    assert fleet.drain == {"state": "serving"}
    fleet.counts = [5]
    assert run("admin_drain.sh", "blue", "--no-wait", "--grace", "7").returncode == 0
    assert (fleet.drain["state"], fleet.drain["grace_seconds"]) == ("draining", 7)
    assert run("admin_drain.sh", "blue", "--cancel").stdout.startswith("blue is serving")


def test_a_drain_without_a_token_is_exit_8(run: Run) -> None:
    done = run("admin_drain.sh", "blue", MINA_OPS_TOKEN="")
    assert done.returncode == 8
    for way in ("none was sent", "mina-ops token new", "/api/auth/login", "MINA_OPS_LOGIN"):
        assert way in done.stderr


def test_the_health_loop_prints_the_playbooks_lines(run: Run, apps: StandIns) -> None:
    done = run("health_check_loop.sh", "blue", "0.1", "--rounds", "2")
    assert (done.returncode, done.stdout) == (0, "✅ HEALTHY: blue\n" * 2)
    apps.fleets["blue"].status, apps.fleets["blue"].failing = "degraded", ("database",)
    done = run("health_check_loop.sh", "mina-blue", "0.1", "--rounds", "3")
    assert done.returncode == 3
    assert done.stdout == "❌ UNHEALTHY: blue is degraded: database\n" * 3


def test_the_health_loop_alerts_through_send_alert(
    run: Run, apps: StandIns, tmp_path: Path
) -> None:
    apps.fleets["blue"].status = "degraded"
    alert = tmp_path / "alert"
    alert.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/told\n')
    alert.chmod(0o755)
    run("health_check_loop.sh", "blue", "0.1", "--rounds", "4", MINA_OPS_ALERT=str(alert))
    assert (tmp_path / "told").read_text() == "Environment blue is unhealthy\n"


def test_the_health_loop_takes_a_colour_out(run: Run, nginx: Balancer, apps: StandIns) -> None:
    apps.fleets["blue"].status = "degraded"
    run("health_check_loop.sh", "blue", "0.1", "--rounds", "3", "--take-out", MINA_OPS_ALERT="true")
    assert green(nginx) == 100


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with receiving() as server:
        yield server


def test_an_alert_reaches_the_channels(run: Run, nginx: Balancer, webhook: Webhook) -> None:
    nginx.toml.write_text(
        nginx.toml.read_text()
        + '\n[notify]\ndeadline_seconds = 60\n[notify.channels.chat]\nurl_env = "CHAT_URL"\n'
    )
    dry = run("send_alert.sh", "Blue is sick", "--dry-run", CHAT_URL=webhook.url)
    assert (dry.returncode, dry.stdout, dry.stderr) == (0, "Would tell chat.\n", "")
    assert webhook.messages == []
    done = run("send_alert.sh", 'It\'s "blue"', CHAT_URL=webhook.url)
    assert done.returncode == 0, done.stderr
    assert 'ALERT: It\'s "blue"' in done.stderr
    assert 'It\'s "blue"' in webhook.messages[0]["message"]


def test_an_alert_that_nobody_takes_is_exit_1(run: Run, nginx: Balancer, webhook: Webhook) -> None:
    webhook.failures = 100
    nginx.toml.write_text(
        nginx.toml.read_text()
        + '\n[notify]\ntries = 1\n[notify.channels.chat]\nurl_env = "CHAT_URL"\n'
    )
    done = run("send_alert.sh", "Blue is sick", "--deadline", "3", CHAT_URL=webhook.url)
    assert done.returncode == 1
    assert "Not told: chat" in done.stderr
    assert webhook.url not in done.stdout + done.stderr
