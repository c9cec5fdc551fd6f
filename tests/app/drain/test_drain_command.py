"""`mina-ops drain` against a real server: the count on screen, and how it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.drain.fleet import PATIENT, TOKEN, Clients, Colour, colour
from tests.support.hosts import Hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually


@pytest.fixture
def blue(start_host: Hosts, redis_url: str) -> Colour:
    return colour(start_host, "blue", redis_url=redis_url, worker="gthread")


def command(blue: Colour, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`mina-ops drain blue ...`, begun."""
    file = folder / "mina-ops.toml"
    file.write_text(
        f'[public]\nurl = "{blue.server.url}"\n[colours.blue]\nurl = "{blue.server.url}"\n'
        '[colours.green]\nurl = "http://127.0.0.1:9"\n'
        '[traffic]\ndriver = "command"\n'
    )
    return subprocess.Popen(
        [Path(sys.executable).with_name("mina-ops"), "drain", "blue", *arguments],
        env={**os.environ, "MINA_OPS_CONFIG": str(file), "MINA_OPS_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_waits_and_shows_a_falling_count(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread", environment=PATIENT)
    with Clients.start(node, blue.server.url, clients=30) as clients:
        clients.wait_for(connected=30)
        running = command(blue, tmp_path, "--wait", "--grace", "60")
        assert running.stderr is not None
        first = [running.stderr.readline() for _ in range(3)]
        # The others need not take their time.
        assert blue.drain(grace_seconds=1).is_success
        out, err = running.communicate(timeout=50)
    assert running.returncode == 0, err
    lines = "".join(first) + err
    counts = [int(number) for number in re.findall(r"(\d+) live connections", lines)]
    assert counts[0] > 1
    assert len(counts) > 2
    assert counts == sorted(counts, reverse=True)
    assert "blue is drained, 0 live connections" in out


def test_it_says_that_something_was_forced(blue: Colour, tmp_path: Path) -> None:
    with StockClients() as clients:
        holder = clients.connect(blue.server.url, "websocket")
        assert holder.call("hold", ("meeting", "fail")) == "held"
        running = command(blue, tmp_path, "--wait", "--grace", "1")
        _, err = running.communicate(timeout=40)
        assert running.returncode == 9
        assert "work:meeting" in err
        eventually(lambda: not holder.connected, 5, "the holder is still there")


def test_it_says_that_somebody_cancelled_the_drain(
    blue: Colour, node: Path, tmp_path: Path
) -> None:
    with Clients.start(node, blue.server.url, clients=3) as clients:
        clients.wait_for(connected=3)
        running = command(blue, tmp_path, "--wait", "--grace", "60")
        eventually(lambda: blue.status()["state"] == "draining", 15, "it does not drain")
        blue.cancel()
        _, err = running.communicate(timeout=40)
    assert running.returncode == 10
    assert "cancelled" in err
