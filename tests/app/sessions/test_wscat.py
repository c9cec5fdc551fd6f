"""The playbook's WebSocket check, section 2.2, typed into the real wscat."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.app.drain.fleet import Clients, Colour, Fleet, colour
from tests.support.hosts import REPOSITORY, Hosts
from tests.support.needs import missing
from tests.support.wait import eventually

EVERY_WORKER = ["gthread", "gevent", "eventlet", "socketio.run"]
PONG = re.compile(r'\{"type":"pong","timestamp":(\d+)\}')


def type_into_wscat(node: Path, url: str, *lines: str, answers: int = 1) -> list[str]:
    """What a terminal shows of wscat after these lines, as soon as it shows so many pongs."""
    wscat = REPOSITORY / "node_modules" / "wscat" / "bin" / "wscat"
    if not wscat.exists():
        missing("wscat is not installed; scripts/dev/setup installs it")
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [node, wscat, "-c", url], stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True
    )
    os.close(terminal)
    shown, typed, deadline = "", False, time.monotonic() + 40
    os.set_blocking(screen, False)
    try:
        while time.monotonic() < deadline and len(PONG.findall(shown)) < answers:
            try:
                shown += os.read(screen, 4096).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.01)
            except OSError as error:
                if error.errno != errno.EIO:  # what a terminal says when its last user is gone
                    raise
                break
            if not typed and "Connected" in shown:
                typed = True
                for line in lines:
                    os.write(screen, f"{line}\r".encode())
        return PONG.findall(shown) or [shown]
    finally:
        process.kill()
        process.wait(5)
        os.close(screen)


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_wscat_gets_its_pong_directly_and_through_nginx(
    worker: str, start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    with Fleet(start_host, tmp_path / "nginx", redis_url, worker=worker) as fleet:
        for port in (fleet.blue.server.port, fleet.proxy.port):
            url = f"ws://127.0.0.1:{port}/socket.io/?transport=websocket"
            (timestamp,) = type_into_wscat(node, url, '{"type": "ping"}')
            assert abs(time.time() * 1000 - int(timestamp)) < 60_000
        assert fleet.blue.active() == 0


def test_wscat_is_told_what_to_send_and_may_go_on(
    start_host: Hosts, redis_url: str, node: Path
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    url = f"ws://127.0.0.1:{blue.server.port}/socket.io/?transport=websocket"
    lines = ["hello", '{"type": "ping"}', '{"type": "ping"}']
    assert len(type_into_wscat(node, url, *lines, answers=2)) == 2


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_a_drain_ends_raw_pings_and_refuses_websockets_before_they_are_upgraded(
    worker: str, start_host: Hosts, redis_url: str
) -> None:
    """Also under gevent-websocket, which answers 101 before it asks anybody."""
    blue = colour(start_host, "blue", redis_url=redis_url, worker=worker)
    with contextlib.closing(upgrade(blue, "transport=websocket")) as ping:
        assert status_of(ping) == 101
        blue.drain(grace_seconds=1)
        while ping.recv(4096):
            pass  # whatever is left of the answer, and perhaps a close frame
        blue.wait_until_drained(8)
    for query in ("transport=websocket", "EIO=4&transport=websocket"):
        with contextlib.closing(upgrade(blue, query)) as refused:
            assert status_of(refused) == 503
    blue.cancel()
    eventually(lambda: _is_let_in(blue), 5, "it does not serve again")


def upgrade(one: Colour, query: str) -> socket.socket:
    """A connection that asked for a websocket."""
    link = socket.create_connection(("127.0.0.1", int(one.server.port)), timeout=10)
    lines = (
        f"GET /socket.io/?{query} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    link.sendall("\r\n".join((*lines, "", "")).encode())
    return link


def status_of(link: socket.socket) -> int:
    """The status of the HTTP answer that comes first."""
    return int(link.recv(4096).split(b" ", 2)[1])


def _is_let_in(one: Colour) -> bool:
    with contextlib.closing(upgrade(one, "EIO=4&transport=websocket")) as link:
        return status_of(link) == 101


@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_a_frame_that_is_no_engine_io_leaves_no_ghost(
    worker: str, start_host: Hosts, redis_url: str, node: Path
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker=worker)
    url = f"ws://127.0.0.1:{blue.server.port}/socket.io/?EIO=4&transport=websocket"
    type_into_wscat(node, url, '{"type": "ping"}')
    # Engine.IO itself would count it for 45 s.
    eventually(lambda: blue.active() == 0, 5, "a ghost is counted")


@pytest.mark.parametrize("worker", ["gthread", "gevent", "eventlet"])
def test_a_full_worker_turns_sessions_away_and_still_answers_the_operator(
    worker: str, start_host: Hosts, redis_url: str, node: Path
) -> None:
    options = [] if worker == "gthread" else ["--worker-connections", "10"]
    blue = colour(
        start_host, "blue", redis_url=redis_url, worker=worker, threads=10, options=options
    )
    with Clients.start(node, blue.server.url, clients=6) as clients:
        clients.wait_for(connected=6)
        # Only now, since handshakes that come at one moment may all find the last place free.
        with Clients.start(node, blue.server.url, clients=3):
            handshake = blue.http.get("/socket.io/", params={"EIO": "4", "transport": "polling"})
            assert handshake.status_code == 503
            eventually(lambda: _failures(blue).get("full", 0) > 1, 5, "no refusal is counted")
            assert blue.active() == 6
            assert blue.drain(grace_seconds=1).status_code == 202
            assert blue.wait_until_drained(10)["remaining"] == 0


def _failures(one: Colour) -> dict[str, int]:
    figures: dict[str, dict[str, int]] = one.http.get("/api/metrics/websockets").json()
    return figures["failures"]
