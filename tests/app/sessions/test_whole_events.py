"""A binary event goes out in one piece, whatever other threads send to the same client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import socketio
from engineio.packet import MESSAGE, Packet
from engineio.socket import Socket

from mina_ops.app.sessions.whole_events import attachments, send_events_whole

SECONDS = 0.8
PICTURE = {"a": b"1", "b": b"2", "c": b"3"}


def server_with(eio_sid: str) -> tuple[socketio.Server, Socket, str]:
    """A server that has one client, whose queue nobody empties; and the client's address."""
    server = socketio.Server(async_mode="threading")
    client = server.eio.sockets[eio_sid] = Socket(server.eio, eio_sid)
    client.connected = True
    server.environ[eio_sid] = {}
    send_events_whole(server)
    return server, client, server.manager.connect(eio_sid, "/")


def sent(client: Socket) -> list[str | bytes]:
    """What waits to be sent, in its order."""
    return [packet.data for packet in list(client.queue.queue)]


def torn(packets: list[str | bytes]) -> int:
    """How many events have something else between their text and their last attachment."""
    count = missing = 0
    for data in packets:
        is_torn = bool(missing) == isinstance(data, str)
        count += is_torn
        missing = attachments(data) if is_torn or isinstance(data, str) else missing - 1
    return count


@pytest.mark.parametrize("is_answered", [False, True])
def test_nothing_gets_between_an_event_and_its_attachments(is_answered: bool) -> None:
    server, client, own = server_with("x")
    until = time.monotonic() + SECONDS
    answered: Callable[..., None] | None = (lambda *_: None) if is_answered else None

    def repeat(event: str, data: object) -> None:
        while time.monotonic() < until:
            server.emit(event, data, to=own, callback=answered)

    events = (("picture", PICTURE), ("picture", PICTURE), ("session:handoff", {}))
    threads = [threading.Thread(target=repeat, args=event) for event in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    packets = sent(client)
    assert len(packets) > 1_000
    assert torn(packets) == 0


def test_each_client_gets_all_of_it_and_one_that_is_gone_gets_none() -> None:
    server, client, own = server_with("x")
    server.emit("picture", PICTURE)
    server.emit("picture", (b"4", "text"), to=own, callback=lambda *_: None)
    assert [type(data) for data in sent(client)] == [str, bytes, bytes, bytes, str, bytes]
    assert client.queue.unfinished_tasks == 6
    client.closed = True
    server.emit("picture", PICTURE)
    assert len(sent(client)) == 6


def test_an_event_that_lost_its_attachments_holds_up_no_other() -> None:
    server, client, _own = server_with("x")
    for data in ('53-["never whole"]', b"1", '2["next"]', b"raw"):
        server._send_eio_packet("x", Packet(MESSAGE, data))
    assert sent(client) == ['2["next"]', b"raw"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('52-["photo"]', 2),
        ("61-/live,7[1]", 1),
        ('2["5-"]', 0),
        ('5["no number"]', 0),
        ('5x-["no number"]', 0),
        ("", 0),
        (b"52-", 0),
        (None, 0),
    ],
)
def test_a_text_says_how_many_packets_follow(text: object, count: int) -> None:
    assert attachments(text) == count
