"""What a Python client emits while it changes servers arrives: once, and in order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from socketio import exceptions

from mina_ops.app.clients import BacklogFull, MovingClient, held, moving
from tests.app.drain.fleet import LEDGER, Fleet, colour
from tests.support.hosts import Hosts
from tests.support.wait import eventually

NAMESPACES = ["/", "/second"]
TRANSPORTS = ["websocket", "polling"]
IN_ORDER = {"IN_ORDER": "1"}


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def handled(redis_url: str, stream: str) -> list[int]:
    """The numbers of a stream in the order in which they were handled."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as ledger:
        return [int(entry.split()[0]) for entry in ledger.lrange(LEDGER + stream, 0, -1)]


def connected(running: ExitStack, url: str, *transports: str) -> MovingClient:
    client = MovingClient(url, namespaces=NAMESPACES, transports=transports)
    running.callback(client.disconnect)
    client.connect(wait_timeout=30)
    return client


@contextmanager
def emitting(clients: Sequence[MovingClient], name: str) -> Iterator[Callable[[], int]]:
    """Plain emits of each client to both namespaces, fifty times a second; how many so far."""
    sent, over = [0], threading.Event()

    def emit() -> None:
        while not over.wait(0.02):
            number = sent[0] + 1
            for client, namespace in itertools.product(clients, NAMESPACES):
                message = {"stream": stream_of(name, client, namespace), "seq": number}
                client.emit("plain", message, namespace=namespace)
            sent[0] = number

    thread = threading.Thread(target=emit)
    thread.start()
    try:
        yield lambda: sent[0]
    finally:
        over.set()
        thread.join(30)


def stream_of(name: str, client: object, namespace: str) -> str:
    return f"{name}{id(client)}{namespace}"


def arrives_once(redis_url: str, streams: Sequence[str], count: int, *, in_order: bool) -> None:
    """All numbers of each stream are handled, soon, and none of them twice."""
    for stream in streams:
        eventually(lambda s=stream: len(handled(redis_url, s)) >= count, 20, "events are lost")
        numbers = handled(redis_url, stream)
        assert (numbers if in_order else sorted(numbers)) == list(range(1, count + 1))


def test_what_is_emitted_while_no_server_takes_the_client_arrives_once_it_is_back(
    start_host: Hosts, redis_url: str, running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOVE_SECONDS", 0.5)
    blue = colour(start_host, "blue", redis_url=redis_url, environment=IN_ORDER)
    clients = [connected(running, blue.server.url, transport) for transport in TRANSPORTS]
    greeted = list[int]()
    for client in clients:
        client.on("connect", lambda client=client: greeted.append(client.held))
    with emitting(clients, "fallback") as sent:
        eventually(lambda: sent() > 10, 10, "nothing is sent")
        blue.drain(grace_seconds=1)
        held_by_all = lambda: all(c.held > 40 and not c.connected for c in clients)  # noqa: E731
        eventually(held_by_all, 20, "nothing is held")
        blue.wait_until_drained(15)
        with pytest.raises(exceptions.TimeoutError):
            clients[0].call("plain", {"stream": "withdrawn", "seq": 1}, timeout=0.1)
        with ThreadPoolExecutor() as threads:
            message = {"stream": "called", "seq": 7}
            calls = [threads.submit(c.call, "plain", message, timeout=30) for c in clients]
            blue.cancel()
            back = lambda: all(c.connected and c.held == 0 for c in clients)  # noqa: E731
            eventually(back, 30, "not all come back")
            assert [call.result() for call in calls] == [{"seq": 7}] * 2
    streams = [stream_of("fallback", c, n) for c in clients for n in NAMESPACES]
    arrives_once(redis_url, streams, sent(), in_order=True)
    assert handled(redis_url, "withdrawn") == []
    assert [client.moves for client in clients] == [0, 0]
    assert min(greeted) > 40, "what was held went before what connect handlers send"


def test_what_is_emitted_during_a_move_arrives_once(
    start_host: Hosts, redis_url: str, tmp_path: Path, running: ExitStack
) -> None:
    fleet = running.enter_context(
        Fleet(start_host, tmp_path / "nginx", redis_url, worker="gevent", environment=IN_ORDER)
    )
    clients = [connected(running, fleet.proxy.url, transport) for transport in TRANSPORTS]
    with emitting(clients, "move") as sent:
        eventually(lambda: sent() > 10, 10, "nothing is sent")
        fleet.blue.drain(grace_seconds=1)
        eventually(lambda: all(c.moves == 1 for c in clients), 20, "not all move")
        fleet.blue.wait_until_drained(15)
    streams = [stream_of("move", c, n) for c in clients for n in NAMESPACES]
    arrives_once(redis_url, streams, sent(), in_order=False)
    assert [client.held for client in clients] == [0, 0]


def test_beyond_its_bound_an_event_is_not_held_and_its_caller_is_told(
    start_host: Hosts, redis_url: str, running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOVE_SECONDS", 0.2)
    monkeypatch.setattr(held, "MOST_HELD", 3)
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread", environment=IN_ORDER)
    client = connected(running, blue.server.url, "websocket")
    blue.drain(grace_seconds=1)
    blue.wait_until_drained(15)
    for number in range(1, 4):
        client.emit("plain", {"stream": "bounded/", "seq": number})
    with pytest.raises(BacklogFull, match="3 events wait"):
        client.emit("plain", {"stream": "bounded/", "seq": 4})
    client.emit("plain", {"stream": "bounded/second", "seq": 1}, "/second")
    blue.cancel()
    eventually(lambda: client.held == 0, 30, "it does not come back")
    for stream, numbers in (("bounded/", [1, 2, 3]), ("bounded/second", [1])):
        eventually(lambda s=stream, n=numbers: handled(redis_url, s) == n, 10, "events are lost")


def test_without_a_hand_off_an_emit_raises_as_stock_clients_do(
    start_host: Hosts, redis_url: str, running: ExitStack
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    client = connected(running, blue.server.url, "websocket")
    blue.server.kill()
    eventually(lambda: not client.connected, 20, "it still counts as connected")
    with pytest.raises(exceptions.BadNamespaceError):
        client.emit("plain", {"stream": "killed", "seq": 1})


def test_who_leaves_while_it_comes_back_stays_away(
    start_host: Hosts, redis_url: str, running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOVE_SECONDS", 0.2)
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    client = connected(running, blue.server.url, "websocket")
    blue.drain(grace_seconds=1)
    blue.wait_until_drained(15)
    eventually(lambda: not client.connected, 10, "it stays connected")
    client.disconnect()

    def comes_back() -> bool:
        return any("_handle_reconnect" in thread.name for thread in threading.enumerate())

    eventually(lambda: not comes_back(), 10, "it still tries")
    blue.cancel()
    assert (client.connected, blue.active()) == (False, 0)
