"""What a client has sent, in part or not at all by then, as its connection is closed by a drain.

The line between nginx and blue holds it up: before the first byte of a POST, or in the middle of an
event whose text has come and whose attachment has not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import shake_256
from pathlib import Path

import httpx
import pytest
import redis

from mina_ops.app.clients import StreamClient
from mina_ops.demo.processes import Server
from tests.app.drain.fleet import GARBLED, Clients, Fleet, losses
from tests.support.holding import HoldingLine
from tests.support.hosts import running_hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually

UPLOADER = Path(__file__).with_name("uploader.mjs")
SIZE = 200_000
# Of such an event the text and the beginning of the attachment, over each transport.
HALF = 3_000
ACK_SECONDS = 0.3


@dataclass(frozen=True)
class Sender:
    """A client of any kind: what a test asks of it."""

    send: Callable[[], object]
    sent: Callable[[], dict[str, int]]
    """Its stream, and how many events it was told to send."""
    acknowledged: Callable[[], int]
    colour: Callable[[], str | None]


Start = Callable[[str, str, str], Sender]


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def stock() -> Iterator[StockClients]:
    with StockClients() as clients:
        yield clients


@pytest.fixture
def start(running: ExitStack, node: Path, stock: StockClients) -> Start:
    """Starts a client of a kind (`stock`, `stream` or `move`), in node or in Python."""

    def started(url: str, kind: str, transport: str) -> Sender:
        language, _, mode = kind.partition(":")
        if language == "node":
            options = {"transport": transport, "mode": mode}
            process = Clients.start(node, url, script=UPLOADER, **options)
            return _in_node(running.enter_context(process))
        if mode == "stock":
            return _stock(stock, url, transport)
        client = StreamClient(url, event="chunk", transports=[transport])
        return _streaming(running.enter_context(client))

    return started


def _in_node(clients: Clients) -> Sender:
    clients.wait_for(connects=1)

    def send() -> None:
        assert clients.process.stdin is not None
        clients.process.stdin.write(f"{SIZE}\n")
        clients.process.stdin.flush()

    return Sender(
        send,
        lambda: {clients.last["stream"]: clients.last["sent"]},
        lambda: int(clients.last["acknowledged"]),
        lambda: clients.last["colour"],
    )


def _streaming(client: StreamClient) -> Sender:
    return Sender(
        lambda: client.send(_payload(client.sent + 1)),
        lambda: {client.stream: client.sent},
        lambda: client.acknowledged,
        lambda: _colour(client.socket),
    )


def _stock(stock: StockClients, url: str, transport: str) -> Sender:
    client, answers, sent = stock.connect(url, transport), list[object](), list[int]()
    name = f"stock-{id(client)}"

    def send() -> None:
        sent.append(len(sent) + 1)
        event = {**_payload(sent[-1]), "stream": name, "seq": sent[-1]}
        client.emit("plain", event, callback=answers.append)

    return Sender(send, lambda: {name: len(sent)}, lambda: len(answers), lambda: _colour(client))


def _payload(seq: int) -> dict[str, object]:
    # By no rule that a connection could compress.
    return {"size": SIZE, "data": shake_256(str(seq).encode()).digest(SIZE)}


def _colour(client: object) -> str | None:
    connected = getattr(client, "connected", False)
    sid = client.eio.sid if connected else None  # type: ignore[attr-defined]
    return None if sid is None else str(sid).partition(".")[0]


@dataclass(frozen=True)
class Scene:
    """Both colours, what holds up the way to blue, and what blue said before."""

    fleet: Fleet
    line: HoldingLine
    log_before: int

    def log(self) -> str:
        """What blue has written since the test began."""
        return self.fleet.blue.server.log.read_text()[self.log_before :]


@pytest.fixture(scope="module")
def fleets(
    redis_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Fleet]]:
    """One fleet for each worker class, started when it is first wanted."""
    environment = {"MINA_OPS_DRAIN_ACK": str(ACK_SECONDS)}
    found: dict[str, Fleet] = {}
    with ExitStack() as stack:

        def fleet_of(worker: str) -> Fleet:
            if worker not in found:
                with redis.Redis.from_url(redis_server.url) as client:
                    client.flushall()
                folder = tmp_path_factory.mktemp(worker)
                hosts = stack.enter_context(contextmanager(running_hosts)(folder / "hosts"))
                options = {"worker": worker, "environment": environment, "holding": True}
                fleet = Fleet(hosts, folder / "front", redis_server.url, **options)
                found[worker] = stack.enter_context(fleet)
            return found[worker]

        yield fleet_of


@pytest.fixture
def scene(worker: str, fleets: Callable[[str], Fleet]) -> Iterator[Scene]:
    """Everybody is let in by blue."""
    fleet = fleets(worker)
    assert fleet.blue.line is not None
    yield Scene(fleet, fleet.blue.line, len(fleet.blue.server.log.read_text()))
    fleet.blue.line.release()
    fleet.blue.cancel()
    ready = f"{fleet.blue.server.url}/api/health/ready"
    eventually(lambda: httpx.get(ready, timeout=30).status_code == 200, 10, "blue is not back")


def in_order(fleet: Fleet, sender: Sender) -> None:
    """All that was sent was handled once, whole and in order."""
    result = losses(fleet.redis_url, sender.sent())
    assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
    with redis.Redis.from_url(fleet.redis_url, decode_responses=True) as ledger:
        assert ledger.lrange(GARBLED, 0, -1) == []


def long(*case: str) -> object:
    return pytest.param(*case, marks=pytest.mark.long)


@pytest.mark.parametrize(
    ("kind", "worker"),
    [
        ("node:stream", "gthread"),
        long("python:stream", "gthread"),
        long("node:move", "gevent"),
        long("python:stream", "gevent"),
        long("node:stream", "eventlet"),
    ],
)
def test_a_post_on_its_way_as_its_connection_is_closed_is_sent_again_and_handled_once(
    kind: str,
    start: Start,
    scene: Scene,
) -> None:
    fleet, line = scene.fleet, scene.line
    sender = start(fleet.proxy.url, kind, "polling")
    sender.send()
    eventually(lambda: sender.acknowledged() == 1, 10, "the first chunk is not answered")
    assert sender.colour() == "blue"
    line.hold(0)
    sender.send()
    assert line.held.wait(30)
    fleet.blue.drain(grace_seconds=1)
    eventually(lambda: fleet.blue.active() == 0, 15, "the client is not let go")
    line.release()
    eventually(lambda: sender.acknowledged() == 2, 30, "the chunk is not sent again")
    assert sender.colour() == "green"
    sender.send()
    eventually(lambda: sender.acknowledged() == 3, 30, "the stream does not go on")
    in_order(fleet, sender)
    assert "Traceback" not in scene.log()


@pytest.mark.parametrize(
    ("kind", "transport", "worker"),
    [
        ("node:stock", "websocket", "gthread"),
        long("python:stock", "polling", "gthread"),
        long("node:stock", "polling", "gthread"),
        long("node:stock", "websocket", "gevent"),
        long("python:stock", "polling", "gevent"),
        long("node:stock", "polling", "eventlet"),
        long("python:stock", "websocket", "eventlet"),
    ],
)
def test_an_event_of_which_half_has_come_arrives_whole_before_its_connection_is_closed(
    kind: str,
    transport: str,
    start: Start,
    scene: Scene,
) -> None:
    fleet, line = scene.fleet, scene.line
    sender = start(fleet.proxy.url, kind, transport)
    line.hold(HALF)
    sender.send()
    assert line.held.wait(30)
    fleet.blue.drain(grace_seconds=60)
    # Time enough to ask it, and to close a client that has said nothing since.
    time.sleep(ACK_SECONDS + 2)
    assert fleet.blue.active() == 1
    line.release()
    status = fleet.blue.wait_until_drained(15)
    assert status["forced"] == 0
    eventually(lambda: sender.colour() == "green", 30, "the client does not come back")
    assert sender.acknowledged() == 1
    in_order(fleet, sender)
    assert losses(fleet.redis_url, sender.sent()).colours == {"blue"}


@pytest.mark.parametrize(
    ("kind", "transport", "worker"),
    [
        ("node:move", "websocket", "gthread"),
        long("node:stream", "polling", "gthread"),
        long("python:stream", "websocket", "gthread"),
        long("node:stream", "websocket", "gevent"),
        long("node:stream", "polling", "eventlet"),
        long("python:stream", "polling", "eventlet"),
    ],
)
def test_an_event_whose_rest_never_comes_is_named_and_sent_again_whole(
    kind: str,
    transport: str,
    start: Start,
    scene: Scene,
) -> None:
    fleet, line = scene.fleet, scene.line
    sender = start(fleet.proxy.url, kind, transport)
    line.hold(HALF)
    sender.send()
    assert line.held.wait(30)
    fleet.blue.drain(grace_seconds=1)
    eventually(lambda: fleet.blue.active() == 0, 15, "half an event keeps a session for ever")
    (forced,) = fleet.blue.status()["forced_sessions"]
    assert "an event is arriving" in str(forced)
    line.release()
    eventually(lambda: sender.acknowledged() == 1, 30, "the chunk is not sent again")
    assert sender.colour() == "green"
    sender.send()
    eventually(lambda: sender.acknowledged() == 2, 30, "the stream does not go on")
    in_order(fleet, sender)
    assert fleet.blue.http.get("/half").text == "0"
    assert "Traceback" not in scene.log()
