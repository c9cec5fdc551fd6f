"""A client of ours is connected elsewhere before it lets the present connection go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.app.drain.fleet import Clients, Fleet, colour, losses
from tests.support.hosts import Hosts
from tests.support.wait import eventually

EVERY_TRANSPORT = [["websocket"], ["polling"], []]


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("worker", "balancer"), [("gevent", "nginx"), ("gthread", "haproxy"), ("eventlet", "nginx")]
)
def test_pages_move_without_being_disconnected_and_lose_nothing(
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
    pages = running.enter_context(
        Clients.start(
            node, fleet.proxy.url, clients=9, transports=EVERY_TRANSPORT, mode="move", deaf=True
        )
    )
    pages.wait_for(connected=9, colours={"blue": 9})
    eventually(lambda: pages.last["acknowledged"] > 50, 10, "the streams do not go")
    fleet.blue.drain(grace_seconds=4)
    status = fleet.blue.wait_until_drained(25)
    assert status["forced_sessions"] == []
    report = pages.wait_for(connected=9, colours={"green": 9})
    assert (report["moved"], report["reconnects"]) == (9, 0)
    final = pages.finish()
    assert final["acknowledged"] == final["sent"]
    result = losses(redis_url, final["streams"])
    assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
    assert result.colours == {"blue", "green"}


def test_a_page_that_finds_no_other_server_comes_back_as_stock_clients_do(
    start_host: Hosts, redis_url: str, node: Path, running: ExitStack
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gevent")
    pages = running.enter_context(
        Clients.start(
            node, blue.server.url, clients=2, mode="move", last_acks_ms=20_000, plain_ms=5
        )
    )
    pages.wait_for(connected=2, colours={"blue": 2})
    blue.drain(grace_seconds=1)
    blue.wait_until_drained(25)
    blue.cancel()
    report = pages.wait_for(20, connected=2, colours={"blue": 2})
    assert report["moved"] == 0
    final = pages.finish()
    result = losses(redis_url, final["streams"])
    assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
    # What the page emitted beside its stream, without an acknowledgement, as it was handed over.
    eventually(
        lambda: losses(redis_url, final["plain_streams"]).lost == 0, 5, "plain events were lost"
    )
    assert losses(redis_url, final["plain_streams"]).twice == 0


def test_a_namespace_that_does_not_answer_costs_nothing(
    start_host: Hosts, redis_url: str, node: Path, running: ExitStack
) -> None:
    environment = {"MINA_OPS_DRAIN_ACK": "10"}
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gevent", environment=environment)
    pages = running.enter_context(Clients.start(node, blue.server.url, clients=2, deaf=True))
    pages.wait_for(connected=2)
    began = time.monotonic()
    blue.drain(grace_seconds=1)
    blue.wait_until_drained(20)
    assert time.monotonic() - began < 9


def test_clients_that_never_stop_sending_leave_one_after_the_other_and_none_is_forced(
    start_host: Hosts, redis_url: str, node: Path, running: ExitStack
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gevent")
    pages = running.enter_context(
        Clients.start(node, blue.server.url, clients=8, mode="busy", acknowledge=False)
    )
    pages.wait_for(connected=8)
    eventually(lambda: pages.last["sent"] > 40, 10, "nobody is busy")
    blue.drain(grace_seconds=6)
    half_way = eventually(
        lambda: 0 < pages.last["connected"] <= 4, 6, "they do not leave one after the other"
    )
    assert half_way
    assert blue.wait_until_drained(20)["forced_sessions"] == []
