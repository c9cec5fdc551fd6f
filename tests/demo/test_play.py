"""The whole command, short and small; `make demo` plays it in full."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from mina_ops.demo.servers import GREEN_WORKERS
from tests.support.command import MINA_OPS
from tests.support.needs import available_workers
from tests.support.wait import eventually

SMALL = ["--clients", "12", "--requests-per-second", "40", "--seconds-scale", "0.1"]
SMALL += ["--no-second-act"]
FIGURES = {
    "requests",
    "failed_requests",
    "clients",
    "reconnected",
    "chunks_sent",
    "chunks_lost",
    "chunks_duplicated",
    "switches",
    "switch_ms_p50",
    "switch_ms_max",
    "drain_seconds",
}


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running `mina-ops demo`, whose output is in two files of the folder."""
    argv = [MINA_OPS, "demo", *SMALL, *arguments]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


@dataclass(frozen=True)
class Family:
    """The processes of a demo: those that it started itself, and all."""

    own: list[psutil.Process]
    everyone: list[psutil.Process]

    def assert_ended(self) -> None:
        # A demo waits for its own; what one of those killed as it ended may die a moment later.
        assert running(self.own) == []
        eventually(lambda: not running(self.everyone), 30, "what it started runs on")


def family(process: subprocess.Popen[bytes]) -> Family:
    parent = psutil.Process(process.pid)
    return Family(parent.children(), parent.children(recursive=True))


def family_on_stage(process: subprocess.Popen[bytes], folder: Path) -> Family:
    """Every process of a demo whose stage stands."""
    eventually(
        lambda: "everything stands" in (folder / "out").read_text(), 60, "the stage did not stand"
    )
    started = family(process)
    assert len(started.everyone) >= 10
    return started


def running(started: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in started if each.is_running()]


def last_line(folder: Path) -> str:
    lines = (folder / "out").read_text().splitlines(keepends=True)
    return lines[-1] if lines and lines[-1].endswith("\n") else ""


def result_of(folder: Path) -> dict[str, float]:
    return dict(json.loads(last_line(folder)))


@pytest.mark.timeout(600)
def test_two_plays_at_once_lose_nothing_and_leave_nothing(
    tmp_path: Path, nginx_binary: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    # Mina's own, eventlet, where this environment has it.
    how = ("--worker", [name for name in GREEN_WORKERS if name in available_workers()][-1])
    with demo(folders[0], *how) as one, demo(folders[1], *how, "--json") as two:
        codes = [process.wait(400) for process in (one, two)]
    assert codes == [0, 0], [(folder / "err").read_text() for folder in folders]
    for folder in folders:
        result = result_of(folder)
        assert set(result) == FIGURES
        assert result["failed_requests"] == 0
        assert (result["chunks_lost"], result["chunks_duplicated"]) == (0, 0)
        assert (result["clients"], result["reconnected"]) == (12, 12)
        assert result["switches"] == 6
        assert result["requests"] > 100
        assert result["chunks_sent"] > 50
        assert not list(folder.glob("mina-demo-*"))
    assert len((folders[1] / "out").read_text().splitlines()) == 1


@pytest.mark.once
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_signal_ends_everything_that_was_started(
    tmp_path: Path, nginx_binary: Path, number: signal.Signals
) -> None:
    with demo(tmp_path) as process:
        started = family_on_stage(process, tmp_path)
        process.send_signal(number)
        assert process.wait(120) == 128 + number
    started.assert_ended()


@pytest.mark.once
def test_killed_it_leaves_its_logs_and_nothing_that_runs(
    tmp_path: Path, nginx_binary: Path
) -> None:
    with demo(tmp_path) as process:
        started = family_on_stage(process, tmp_path)
        process.kill()
    eventually(lambda: not running(started.everyone), 30, "what it started runs on")
    assert list(tmp_path.glob("mina-demo-*/blue/*.log"))


@pytest.mark.once
@pytest.mark.timeout(900)
def test_bad_releases_are_taken_back_and_a_sound_green_stays_to_be_looked_at(
    tmp_path: Path, nginx_binary: Path
) -> None:
    more = ["--second-act", "--requests-per-second", "120", "--keep"]
    with demo(tmp_path, *more) as process:
        eventually(lambda: last_line(tmp_path).startswith('{"requests"'), 200)
        assert process.poll() is None
        text = (tmp_path / "out").read_text()
        started = family(process)
        green = re.search(r"^green +(\S+) (\S+)$", text, re.MULTILINE)
        assert green is not None, text
        for address in green.groups():
            eventually(
                lambda ready=f"{address}/api/health/ready": httpx.get(ready).status_code == 200,
                ignoring=(httpx.TransportError,),
            )
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    started.assert_ended()
    assert "login admin" in text
    assert "/live" in text
    assert set(result_of(tmp_path)) == FIGURES
    verdicts = [line for line in text.splitlines() if "verdict: v2.5.0 was rolled back" in line]
    assert len(verdicts) == 2
    assert "the limit is 5 %" in verdicts[0]
    assert "the limit is +50 %" in verdicts[1]
    assert all("Traffic is on blue, which runs v2.4.5." in verdict for verdict in verdicts)
