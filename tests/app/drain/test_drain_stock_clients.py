"""Every stock client with its default options comes back, whatever ended its transport."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.app.drain.fleet import Clients, Fleet, colour
from tests.support.hosts import Hosts
from tests.support.oldest import oldest_python
from tests.support.wait import eventually

KINDS = [
    f"{family}:{transport}"
    for family in ("sync", "async")
    for transport in ("websocket", "polling", "default")
]
EVERY_TRANSPORT = [["websocket"], ["polling"], []]
# Python's default patience between two tries is at most 5 s, and it has to fail a few times first.
PATIENCE_SECONDS = 30


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def all_on(environment: str, connects: int) -> dict[str, dict[str, object]]:
    """What python_clients.py reports once all of them are there."""
    return {kind: {"colour": environment, "connects": connects} for kind in KINDS}


@pytest.mark.parametrize(
    ("worker", "balancer"), [("gevent", "nginx"), ("gthread", "haproxy"), ("eventlet", "nginx")]
)
def test_every_stock_client_comes_back_after_a_drain(
    worker: str,
    balancer: str,
    start_host: Hosts,
    redis_url: str,
    node: Path,
    tmp_path: Path,
    running: ExitStack,
) -> None:
    fleet = running.enter_context(
        Fleet(start_host, tmp_path / "front", redis_url, worker=worker, balancer=balancer)
    )
    url = fleet.proxy.url
    pages = running.enter_context(
        Clients.start(node, url, clients=6, transports=EVERY_TRANSPORT, acknowledge=False)
    )
    pythons = running.enter_context(Clients.start_python(url, KINDS))
    pages.wait_for(connected=6, colours={"blue": 6})
    pythons.wait_for(**all_on("blue", 1))
    assert fleet.blue.drain(grace_seconds=4).status_code == 202
    pages.wait_for(PATIENCE_SECONDS, connected=6, colours={"green": 6})
    pythons.wait_for(PATIENCE_SECONDS, **all_on("green", 2))
    log = fleet.blue.server.log.read_text()
    assert "Traceback" not in log


@pytest.mark.long
def test_python_clients_of_the_oldest_release_come_back_after_a_drain(
    start_host: Hosts, redis_url: str, tmp_path: Path, running: ExitStack
) -> None:
    fleet = running.enter_context(Fleet(start_host, tmp_path / "front", redis_url, worker="gevent"))
    oldest = oldest_python("requests", "websocket-client", "aiohttp")
    pythons = running.enter_context(Clients.start_python(fleet.proxy.url, KINDS, python=oldest))
    pythons.wait_for(**all_on("blue", 1))
    assert fleet.blue.drain(grace_seconds=4).status_code == 202
    pythons.wait_for(PATIENCE_SECONDS, **all_on("green", 2))


@pytest.mark.long
def test_every_stock_client_comes_back_when_its_worker_is_recycled(
    start_host: Hosts, redis_url: str, running: ExitStack
) -> None:
    options = ["--max-requests", "60"]
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread", options=options)
    pid = blue.http.get("/pid").text
    pythons = running.enter_context(Clients.start_python(blue.server.url, KINDS))
    pythons.wait_for(**all_on("blue", 1))
    eventually(lambda: blue.http.get("/pid").text != pid, 30, "the worker is not recycled")

    def all_back() -> bool:
        # The next one may have served as many requests meanwhile.
        return all(one["colour"] and one["connects"] > 1 for one in pythons.last.values())

    eventually(all_back, PATIENCE_SECONDS, f"some are not back: {pythons.last}")


def test_every_stock_client_comes_back_after_sigterm(
    start_host: Hosts, redis_url: str, tmp_path: Path, running: ExitStack
) -> None:
    fleet = running.enter_context(Fleet(start_host, tmp_path / "front", redis_url, worker="gevent"))
    pythons = running.enter_context(Clients.start_python(fleet.proxy.url, KINDS))
    pythons.wait_for(**all_on("blue", 1))
    fleet.blue.server.process.send_signal(signal.SIGTERM)
    pythons.wait_for(PATIENCE_SECONDS, **all_on("green", 2))


def test_every_stock_client_comes_back_to_a_server_without_a_balancer(
    start_host: Hosts, redis_url: str, running: ExitStack
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    pythons = running.enter_context(Clients.start_python(blue.server.url, KINDS))
    pythons.wait_for(**all_on("blue", 1))
    blue.drain(grace_seconds=1)
    blue.wait_until_drained(20)
    blue.cancel()
    pythons.wait_for(PATIENCE_SECONDS, **all_on("blue", 2))


def test_clients_that_speak_msgpack_come_back_after_a_drain(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path, running: ExitStack
) -> None:
    environment = {"SERIALIZER": "msgpack"}
    fleet = running.enter_context(
        Fleet(start_host, tmp_path / "front", redis_url, worker="gevent", environment=environment)
    )
    pages = running.enter_context(
        Clients.start(node, fleet.proxy.url, clients=3, transports=EVERY_TRANSPORT, msgpack=True)
    )
    pages.wait_for(connected=3, colours={"blue": 3})
    fleet.blue.drain(grace_seconds=3)
    report = pages.wait_for(PATIENCE_SECONDS, connected=3, colours={"green": 3})
    assert report["handoffs"] == 3
