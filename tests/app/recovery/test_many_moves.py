"""Drains and SIGKILLs one after the other, under numbered events both ways: none lost or twice."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.app.drain.fleet import Colour, losses
from tests.app.recovery.test_recovery_over_colours import fleet_of, listening, saying
from tests.support.hosts import Hosts
from tests.support.wait import eventually

CLIENTS = 6


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def kill_worker(one: Colour) -> None:
    """As the kernel does when memory is short; gunicorn starts another."""
    (worker,) = psutil.Process(one.server.pid).children()
    os.kill(worker.pid, signal.SIGKILL)
    ready = f"{one.server.url}/api/health/ready"

    def is_back() -> bool:
        others = [p.pid for p in psutil.Process(one.server.pid).children() if p.pid != worker.pid]
        return bool(others) and httpx.get(ready, timeout=5).status_code == 200

    eventually(is_back, 20, "no other worker", ignoring=(httpx.HTTPError, psutil.Error))


@pytest.mark.parametrize(
    ("drains", "kills"),
    [(3, 1), pytest.param(100, 20, marks=[pytest.mark.long, pytest.mark.timeout(5400)])],
)
def test_many_moves_lose_nothing_and_double_nothing_either_way(
    drains: int,
    kills: int,
    start_host: Hosts,
    redis_url: str,
    node: Path,
    tmp_path: Path,
    running: ExitStack,
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url)
    clients = listening(
        *(running, node, fleet.proxy.url),
        clients=CLIENTS,
        transports=[["websocket"], ["polling"], []],
        move=True,
        chunk_ms=100,
    )
    # A process of its own says the events, which neither drains nor dies.
    voice = start_host(
        "tests.app.recovery.host:app",
        worker="gevent",
        environment={
            "ENVIRONMENT": "green",
            "REDIS_URL": redis_url,
            "MESSAGE_QUEUE": redis_url,
            "MINA_OPS_SIGTERM_GRACE": "1",
            "MINA_OPS_REDIS_TIMEOUT": "5",
        },
    )
    colours = itertools.cycle([(fleet.blue, "green"), (fleet.green, "blue")])
    rests = max(1, drains // kills)
    with saying(voice.url) as said:
        for number in range(1, drains + 1):
            here, target = next(colours)
            here.drain(grace_seconds=1)
            clients.wait(
                lambda one, target=target: one["engine"] == target, 20, f"drain {number}: some stay"
            )
            here.wait_until_drained(15)
            assert here.cancel().is_success
            if number % rests == 0:
                there = fleet.green if target == "green" else fleet.blue
                kill_worker(there)
                clients.wait(lambda one: one["connected"], 20, f"kill {number}: some are away")
                clients.wait(lambda one: one["engine"], 20, "somebody is nowhere")
    last = said()

    # What each of them says of itself where one falls behind.
    def told() -> str:
        names = ("engine", "connected", "last", "missed", "again", "sent", "acknowledged")
        rows = [[one[name] for name in names] + [one["recovered"]] for one in clients.all]
        return f"of {last}: {rows}"

    clients.tell("stop")
    with suppress(AssertionError):
        clients.wait(lambda one: one["last"] == last, 20, "the last event is missing")
        clients.wait(lambda one: one["acknowledged"] == one["sent"] > 0, 20, "chunks wait")
    assert {one["last"] for one in clients.all} == {last}, told()
    assert all(one["acknowledged"] == one["sent"] > 0 for one in clients.all), told()
    assert [(one["missed"], one["again"]) for one in clients.all] == [(0, 0)] * CLIENTS
    result = losses(redis_url, {one["stream"]: one["sent"] for one in clients.all})
    assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
    assert result.colours == {"blue", "green"}
