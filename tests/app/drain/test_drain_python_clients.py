"""The Python client helper against real servers: what mina-stream.js does for pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from mina_ops.app.clients import Rejected, StreamClient, moving, stream
from tests.app.drain.fleet import LEDGER, PATIENT, Fleet, colour, losses
from tests.support.hosts import Hosts
from tests.support.wait import eventually

EVERY_WORKER = ["gthread", "gevent", "eventlet", "socketio.run"]


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connected(running: ExitStack, url: str, count: int) -> list[StreamClient]:
    """Clients of both transports, each with an acknowledged chunk."""
    transports = (["websocket"], ["polling"])
    clients = [
        running.enter_context(
            StreamClient(url, event="chunk", transports=transports[number % 2], ack_seconds=10)
        )
        for number in range(count)
    ]
    for client in clients:
        assert client.send().result(40)["environment"] == "blue"
    return clients


def finish(clients: Sequence[StreamClient]) -> dict[str, int]:
    """The number of chunks of each stream, all of them answered."""
    for client in clients:
        assert client.flush(40), f"{client.waiting} chunks wait; {client.errors}"
        assert (client.acknowledged, client.rejected) == (client.sent, 0)
    return {client.stream: client.sent for client in clients}


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_a_drain_moves_python_clients_without_a_loss(
    worker: str,
    start_host: Hosts,
    redis_url: str,
    tmp_path: Path,
    running: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A hand-off is acknowledged once its chunks were answered, however long that takes.
    monkeypatch.setattr(moving, "HANDOFF_WAIT_SECONDS", 8.0)
    fleet = running.enter_context(
        Fleet(start_host, tmp_path / "nginx", redis_url, worker=worker, environment=PATIENT)
    )
    clients = connected(running, fleet.proxy.url, 4)
    # A handler of the user's own beside ours, which moves the client.
    told = list[object]()
    clients[0]._line.on("session:handoff", told.append)
    assert fleet.blue.drain(grace_seconds=4).status_code == 202

    def all_moved() -> bool:
        answers = [client.send({"work": 0.01}) for client in clients]
        return all(answer.result(40)["environment"] == "green" for answer in answers)

    eventually(all_moved, 30, "not all clients are on green")
    assert fleet.blue.wait_until_drained(10)["forced"] == 0
    result = losses(redis_url, finish(clients))
    assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
    assert [client.handoffs for client in clients] == [1] * 4
    assert all(client.connects == 2 for client in clients)
    assert [client.moves for client in clients] == [1] * 4
    assert len(told) == 1


def test_nothing_is_sent_after_a_hand_off_until_the_client_is_back(
    start_host: Hosts, redis_url: str, running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HANDOFF_LASTS_SECONDS", 600.0)
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    (client,) = connected(running, blue.server.url, 1)
    # A handler in flight keeps the session until it has ended.
    client.socket.emit("slow", "test:enough")
    eventually(lambda: blue.status()["in_flight"] == 1, 5, "the handler does not run")
    blue.drain(grace_seconds=60)
    eventually(lambda: client.handoffs == 1, 5, "no hand-off came")
    looks, look = list[object](), client._next
    monkeypatch.setattr(client, "_next", lambda: looks.append(look()))
    client.send()
    # The first may have begun before the chunk was there.
    eventually(lambda: len(looks) > 2, 5, "nobody looks for chunks to send")
    assert not any(looks)
    monkeypatch.setattr(client, "_next", look)
    with redis.Redis.from_url(redis_url) as ledger:
        ledger.set("test:enough", 1)
        blue.wait_until_drained(15)
        assert ledger.llen(LEDGER + client.stream) == 1
    assert client.waiting == 1
    blue.cancel()
    assert losses(redis_url, finish([client])).lost == 0


def test_what_a_killed_server_had_not_acknowledged_is_sent_again(
    start_host: Hosts, redis_url: str, tmp_path: Path, running: ExitStack
) -> None:
    fleet = running.enter_context(Fleet(start_host, tmp_path / "nginx", redis_url, worker="gevent"))
    clients = connected(running, fleet.proxy.url, 4)
    for client in clients:
        for _ in range(20):
            client.send({"work": 0.05})
    fleet.blue.server.kill()
    result = losses(redis_url, finish(clients))
    assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)


def test_an_answer_with_an_error_rejects_the_chunk_and_the_stream_goes_on(
    start_host: Hosts, redis_url: str, running: ExitStack
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    client = running.enter_context(StreamClient(blue.server.url, event="reject"))
    with pytest.raises(Rejected, match="no thanks"):
        client.send().result(40)
    assert (client.rejected, client.acknowledged, client.waiting) == (1, 0, 0)
