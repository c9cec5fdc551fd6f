"""`mina-ops init` in an empty folder: what it writes is read, and runs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from mina_ops.cli import main
from mina_ops.demo.processes import Server, free_port
from tests.support.command import MINA_OPS
from tests.support.wait import eventually

APP = """
from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app, async_mode="threading")
db = None
"""


def init(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["init", "-y", "--folder", str(folder), *options])


@pytest.mark.parametrize("balancer", ["nginx", "haproxy", "envoy"])
def test_what_is_written_can_be_read_whole(tmp_path: Path, balancer: str) -> None:
    assert init(tmp_path, "--balancer", balancer, "--instances", "3").exit_code == 0
    file = str(tmp_path / "mina-ops.toml")
    checked = CliRunner().invoke(main, ["--config", file, "config", "check"])
    assert checked.exit_code == 0, checked.output
    shown = CliRunner().invoke(main, ["--config", file, "traffic", "render"])
    assert "6003" in shown.output


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    result = init(tmp_path)
    token = (tmp_path / "mina.token").read_text().strip()
    for name in ("mina.token", "mina.env"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert token not in result.output
    assert token not in (tmp_path / "mina.env").read_text()


def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "mina.token").write_text("precious")
    result = init(tmp_path)
    assert result.exit_code == 2
    assert f"{tmp_path / 'mina.token'} exists already" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["mina.token"]
    assert (tmp_path / "mina.token").read_text() == "precious"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = init(tmp_path, "--dry-run", "--json")
    value = json.loads(result.output)
    assert value["dry_run"] is True
    assert str(tmp_path / "systemd/mina-blue-0.service") in value["files"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--app", "app:app; rm -rf /"), "--app"),
        (("--product", "../x"), "--product"),
        (("--public", "https://mina.example.com"), "give --certificate"),
        (("--public", "http://mina.example.com:port"), "--public"),
        (("--public", "http://mina.example.com:99999"), "--public"),
        (("--public", "http://[::1"), "--public"),
        (("--green-port", "5002"), "would be used twice"),
        (("--redis", "redis://a\nMINA_OPS_ADMIN_TOKENS=x"), "--redis"),
        (("--blue-port", "65535"), "at most 65535"),
    ],
)
def test_an_answer_that_cannot_be_used_names_its_option(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    result = init(tmp_path, *options)
    assert result.exit_code == 2
    assert told in result.output
    assert list(tmp_path.iterdir()) == []


def test_units_name_everything_that_systemd_needs(tmp_path: Path) -> None:
    init(tmp_path)
    unit = (tmp_path / "systemd/mina-green-1.service").read_text()
    for line in (
        f"EnvironmentFile={tmp_path}/mina.env",
        f"EnvironmentFile={tmp_path}/green.env",
        "Environment=MINA_OPS_INSTANCE=1",
        "PartOf=mina-green.target",
    ):
        assert line in unit.splitlines()
    assert "--bind 127.0.0.1:6002 app:app" in unit


@pytest.fixture
def redis_url(own_redis: Server) -> str:
    """Of a Redis that no other site of this run was ever in: the doctor tells of neighbours."""
    return own_redis.url


@pytest.fixture
def site(tmp_path: Path, redis_url: str) -> Iterator[Path]:
    """An app with the three lines, both colours started line by line from the Procfile."""
    blue, green = free_port(), free_port()
    result = CliRunner().invoke(
        main,
        [
            *("init", "-y", "--json", "--folder", str(tmp_path), "--processes", "procfile"),
            *("--instances", "1", "--blue-port", str(blue), "--green-port", str(green)),
            *("--redis", redis_url, "--state", str(tmp_path / "balancer")),
        ],
    )
    assert result.exit_code == 0, result.output
    lines = json.loads(result.output)["app_lines"]
    (tmp_path / "app.py").write_text(APP + "\n".join(lines) + "\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with ExitStack() as running:
        for line in (tmp_path / "Procfile").read_text().splitlines():
            if line.startswith("#"):
                continue
            command = line.partition(": ")[2]
            process = subprocess.Popen(
                ["sh", "-c", command],
                cwd=tmp_path,
                env={**os.environ, "PATH": path},
                stderr=subprocess.DEVNULL,
            )
            running.callback(process.wait)
            running.callback(process.terminate)
        for port in (blue, green):
            eventually(
                lambda port=port: (  # type: ignore[misc]
                    httpx.get(f"http://127.0.0.1:{port}/api/health/ready").status_code == 200
                ),
                20,
                "the Procfile's process becomes ready",
                ignoring=(httpx.HTTPError,),
            )
        yield tmp_path


def test_the_doctor_finds_the_started_site_to_be_what_the_file_says(
    site: Path, redis_url: str
) -> None:
    done = subprocess.run(
        [str(MINA_OPS), "doctor", "file", "app", "stores", "releases", "--json"],
        cwd=site,
        env={**os.environ, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        check=False,
    )
    value = json.loads(done.stdout)
    by_area = {finding["area"]: finding for finding in value["findings"]}
    faults = [finding for finding in value["findings"] if finding["state"] == "fault"]
    # What a machine without systemd lacks is no matter of this test: a Procfile has no hooks.
    assert faults == []
    assert done.returncode == 0
    assert by_area["blue 0"]["text"].startswith("v1 at ")
    assert by_area["token"]["text"] == "green takes it"
    assert by_area["redis"]["state"] == "ok"


def test_the_doctor_tells_two_colours_that_were_mixed_up(site: Path) -> None:
    file = site / "mina-ops.toml"
    text = file.read_text()
    file.write_text(
        text.replace("[colours.blue]", "[colours.x]")
        .replace("[colours.green]", "[colours.blue]")
        .replace("[colours.x]", "[colours.green]")
    )
    done = subprocess.run(
        [str(MINA_OPS), "doctor", "app"], cwd=site, capture_output=True, text=True, check=False
    )
    assert done.returncode == 11
    assert "is green, not blue: traffic and drains would meet the wrong one" in done.stdout
    assert "-> set ENVIRONMENT=blue there" in done.stdout


def test_the_playbooks_scripts_come_along_and_run(tmp_path: Path) -> None:
    assert init(tmp_path, "--scripts").exit_code == 0
    assert not (tmp_path / "scripts" / "dev").exists()
    script = [str(tmp_path / "scripts" / "switch_traffic.sh"), "--help"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert "switch_traffic.sh FROM TO" in done.stdout
