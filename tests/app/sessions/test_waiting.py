"""Who shakes hands and joins nothing keeps nobody out, and does not stay."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import pytest
import socketio as socketio_client
import websocket

from mina_ops.app.sessions.waiting import CONNECT_SECONDS, MOST_WAITING, Waiting
from mina_ops.demo.processes import Server
from tests.security.raw import get
from tests.support.hosts import Hosts
from tests.support.wait import eventually

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
HOST = "tests.security.host:app"


@dataclass
class One:
    sid: str
    client: str = "a"
    since: float = field(default_factory=time.monotonic)


def test_the_oldest_of_the_client_with_the_most_go_first() -> None:
    waiting: Waiting[One] = Waiting(most=20)
    for number in range(18):
        assert waiting.add(One(f"flood{number}", "flood")) == []
    assert waiting.add(One("a", "ana")) == waiting.add(One("b", "ben")) == []
    gone = waiting.add(One("flood18", "flood"))
    assert [one.sid for one in gone] == ["flood0", "flood1"]


def test_they_are_late_after_some_seconds_unless_they_joined() -> None:
    waiting: Waiting[One] = Waiting()
    now = time.monotonic()
    waiting.add(One("late", since=now - CONNECT_SECONDS - 1))
    waiting.add(One("joined", since=now - CONNECT_SECONDS - 1))
    waiting.add(One("new", since=now))
    waiting.remove("joined")
    waiting.remove("joined")
    assert [one.sid for one in waiting.late()] == ["late"]
    assert len(waiting) == 2
    assert MOST_WAITING > 1_000


@pytest.fixture
def host(start_host: Hosts) -> Server:
    return start_host(HOST, threads=12, environment={"ENVIRONMENT": "blue"})


@pytest.mark.integration
def test_three_times_as_many_handshakes_as_threads_keep_no_client_out(host: Server) -> None:
    for _ in range(36):
        assert get(host.port, HANDSHAKE).status == 200
    client = socketio_client.SimpleClient()
    client.connect(host.url, wait_timeout=20)
    client.disconnect()
    # They are forgotten long before a ping would find out.
    active = lambda: get(host.port, "/api/metrics/connections").body  # noqa: E731
    eventually(lambda: b'"active_connections": 0' in active(), CONNECT_SECONDS + 5)


@pytest.mark.integration
def test_idle_raw_pings_keep_no_wscat_out(start_host: Hosts) -> None:
    host = start_host(HOST, threads=80, environment={"ENVIRONMENT": "blue"})
    head = (
        b"GET /socket.io/?transport=websocket HTTP/1.1\r\nHost: mina.example\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    links: list[socket.socket] = []

    def status() -> bytes:
        link = socket.create_connection(("127.0.0.1", host.port), timeout=20)
        links.append(link)
        link.sendall(head)
        return link.recv(4096).split()[1]

    try:
        assert {status() for _ in range(16)} == {b"101"}
        # The seventeenth is let in once one of them has said nothing for some seconds.
        eventually(lambda: status() == b"101", 15, interval=0.5)
    finally:
        for link in links:
            link.close()


@pytest.mark.integration
def test_a_worker_full_of_websockets_still_answers_the_operator(host: Server) -> None:
    """Each takes a thread for as long as it lives, and four of the twelve are kept free."""
    url = f"ws://127.0.0.1:{host.port}/socket.io/?EIO=4&transport=websocket"
    with ExitStack() as open_links:
        for _ in range(8):
            link = open_links.enter_context(closing(websocket.create_connection(url, timeout=30)))
            link.send("40")
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(url, timeout=30)
        assert refused.value.status_code == 503
        for path in ("/api/health/live", "/api/metrics/connections", "/echo"):
            assert get(host.port, path).status == 200
