"""`mina-ops flags rollout` against a live host, on the figures that real visitors leave there."""

from __future__ import annotations

import http.client
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mina_ops.demo.processes import HOST, Server
from tests.app.flags.flagging import LASTING, TOKEN, call, change, environment, kill
from tests.support.hosts import Hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually

APP = "tests.app.flags.rollout_host:app"
KEY = "enable_audio_replay"
# The slow feature takes 500 ms; a machine that is busy with other tests must not look like it.
SLOWER_MS = 250
# Where nothing is slow no increase is one, whatever the machine does.
NEVER_MS = 600_000

pytestmark = pytest.mark.timeout(400)


class Stage:
    """Green with visitors, blue without any, and the command as it is typed."""

    def __init__(self, folder: Path, start_host: Hosts, redis_url: str) -> None:
        self._folder, self._start, self._redis = folder, start_host, redis_url
        self._running: list[subprocess.Popen[str]] = []
        self.green: Server
        self.toml = folder / "mina-ops.toml"

    def open(self, harm: str = "", patience: float = 60.0) -> None:
        """Start both colours; the feature is there, and off."""
        blue = self._start(APP, environment=environment(self._redis, "blue"))
        self._green = environment(self._redis, "green", HARM=harm)
        self.green = self._start(APP, environment=self._green, options=LASTING)
        self.toml.write_text(
            f'[public]\nurl = "{self.green.url}"\n[traffic]\ndriver = "command"\n'
            f'[colours.blue]\nurl = "{blue.url}"\n[colours.green]\nurl = "{self.green.url}"\n'
            f"[release]\nlook_seconds = 0.5\npatience_seconds = {patience}\n"
            "[release.triggers]\n"
            f"p95_increase_ms = {SLOWER_MS if harm == 'slow' else NEVER_MS}\n"
        )
        assert change(self.green, KEY, enabled=False)[0] == 201

    def start_green(self) -> None:
        """Green, started again where it was."""
        self.green = self._start(APP, environment=self._green, port=self.green.port)

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """The command, running."""
        command = [Path(sys.executable).with_name("mina-ops"), "flags", "rollout", KEY, *options]
        variables = {"MINA_OPS_CONFIG": str(self.toml), "MINA_OPS_TOKEN": TOKEN}
        started = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
        )
        self._running.append(started)
        return started

    def run(self, *options: str) -> tuple[int, str, str]:
        """Exit code, output and what it said of the command."""
        running = self.begin(*options)
        out, err = running.communicate(timeout=300)
        return running.returncode, out, err

    def flag(self) -> dict[str, Any]:
        """The flag as it is."""
        return call(self.green, "GET", f"/admin/flags/{KEY}")[1]

    def steps(self) -> list[float]:
        """The percentages at which it was on, in order."""
        changes = call(self.green, "GET", f"/admin/flags/{KEY}/history")[1]["changes"]
        after = [change["after"][KEY] for change in reversed(changes)]
        return [flag.get("rollout_percent", 100.0) for flag in after if flag.get("enabled")]

    @contextmanager
    def visited(self) -> Iterator[None]:
        """Visitors of all kinds, one second of whom the colour has counted at least."""
        ended = threading.Event()
        visitors = [threading.Thread(target=self._visit, args=(ended,)) for _ in range(12)]
        visitors.append(threading.Thread(target=self._connect, args=(ended,)))
        for visitor in visitors:
            visitor.start()
        try:
            eventually(self._is_counted, 60.0, "visitors to be counted")
            yield
        finally:
            ended.set()
            for visitor in visitors:
                visitor.join()

    def _is_counted(self) -> bool:
        sockets = call(self.green, "GET", "/api/metrics/websockets")[1]
        errors = call(self.green, "GET", "/api/metrics/errors")[1]
        return (errors["requests"] or 0) > 600 and sockets["attempts"] > 20

    def _visit(self, ended: threading.Event) -> None:
        connection = http.client.HTTPConnection(HOST, self.green.port, timeout=45)
        for n in itertools.count():
            if ended.wait(0.035):
                break
            try:
                connection.request("GET", f"/unit/{n}")
                connection.getresponse().read()
            except http.client.RemoteDisconnected:
                connection.close()  # the server may close a connection that was idle
        connection.close()

    def _connect(self, ended: threading.Event) -> None:
        while not ended.wait(0.02):
            with StockClients() as clients:
                clients.connect(self.green.url, "websocket")

    def end(self) -> None:
        """End commands that still run."""
        for running in self._running:
            running.kill()
            running.communicate()


@pytest.fixture
def stage(tmp_path: Path, start_host: Hosts, redis_url: str) -> Iterator[Stage]:
    stage = Stage(tmp_path, start_host, redis_url)
    yield stage
    stage.end()


def test_a_sound_feature_is_given_to_everybody_step_by_step(stage: Stage) -> None:
    stage.open()
    with stage.visited():
        code, out, err = stage.run("--steps", "10,25,50,100", "--every", "2s")
    assert code == 0, err
    assert out.startswith(f"{KEY} is on")
    assert stage.steps() == [10, 25, 50, 100]


@pytest.mark.parametrize(
    ("harm", "trigger"),
    [
        ("errors", "requests failed"),
        ("slow", "P95"),
    ],
)
def test_a_feature_that_does_harm_is_turned_off_and_the_trigger_named(
    stage: Stage, harm: str, trigger: str
) -> None:
    stage.open(harm)
    with stage.visited():
        code, out, err = stage.run("--steps", "10,25,50,100", "--every", "20s")
    assert code == 5, (out, err)
    assert "was turned off" in err
    assert trigger in err
    assert stage.flag()["enabled"] is False
    assert stage.steps() == [10]


def test_a_feature_that_does_harm_may_be_held_where_it_is(stage: Stage) -> None:
    stage.open("errors")
    with stage.visited():
        code, _, err = stage.run("--steps", "10,100", "--every", "20s", "--on-fail", "hold")
    assert code == 1
    assert "stays where it is" in err
    assert (stage.flag()["enabled"], stage.flag()["rollout_percent"]) == (True, 10.0)


def test_without_visitors_no_step_is_taken_unless_told_to(stage: Stage) -> None:
    stage.open(patience=2.0)
    code, _, err = stage.run("--steps", "10,100", "--every", "1s", "--colour", "green")
    assert code == 1
    assert "nothing tells" in err
    assert stage.steps() == [], "nobody gets what cannot be judged"
    code, _, err = stage.run("--steps", "10,100", "--every", "1s", "--no-data", "continue")
    assert code == 0, err
    assert stage.steps() == [10, 100]


def test_a_rollout_that_is_killed_goes_on_where_it_was(stage: Stage) -> None:
    stage.open()
    with stage.visited():
        first = stage.begin("--steps", "10,25,50,100", "--every", "60s")
        eventually(lambda: stage.flag()["enabled"], 60.0, "the first step")
        first.kill()
        first.communicate()
        assert (stage.flag()["enabled"], stage.steps()) == (True, [10])
        code, _, err = stage.run("--steps", "10,25,50,100", "--every", "2s")
    assert code == 0, err
    assert "going on" in err
    assert stage.steps() == [10, 25, 50, 100]


def test_a_host_that_dies_has_the_flag_off_when_it_is_back(stage: Stage) -> None:
    stage.open()
    with stage.visited():
        running = stage.begin("--steps", "10,100", "--every", "60s")
        eventually(lambda: stage.flag()["enabled"], 60.0, "the first step")
    stage.green.kill()
    assert running.stderr is not None
    said = ""
    while "cannot be turned off yet" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    stage.start_green()
    _, err = running.communicate(timeout=150)
    assert running.returncode == 5, said + err
    assert "does not answer" in err
    assert stage.flag()["enabled"] is False


def test_an_admins_kill_during_a_rollout_stays(stage: Stage) -> None:
    stage.open()
    with stage.visited():
        running = stage.begin("--steps", "10,25,50,100", "--every", "60s")
        eventually(lambda: stage.flag()["enabled"], 60.0, "the first step")
        assert kill(stage.green, KEY)[1]["confirmed"] is True
        _, err = running.communicate(timeout=150)
    assert running.returncode == 1
    assert "Somebody changed enabled" in err
    assert stage.flag()["enabled"] is False
