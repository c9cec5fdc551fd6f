"""What an emit may wait for: nobody's handlers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from engineio.socket import Socket
from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps


@pytest.fixture
def server() -> Iterator[SocketIO]:
    app = Flask(__name__)
    app.config["MINA_OPS_RECOVERY_NAMESPACES"] = ("/",)
    socketio = SocketIO(app, async_mode="threading")
    ops = MinaOps(app, socketio=socketio)
    yield socketio
    ops.runtime.close()


def client(socketio: SocketIO, name: str) -> Socket:
    """A client in `/`, whose queue nobody empties."""
    made = socketio.server.eio.sockets[name] = Socket(socketio.server.eio, name)
    made.connected = True
    socketio.server.environ[name] = {}
    socketio.server.manager.connect(name, "/")
    return made


def test_no_emit_waits_for_the_disconnect_handler_of_a_client_that_is_gone(
    server: SocketIO,
) -> None:
    silent, other = client(server, "silent"), client(server, "other")
    silent.last_ping = time.time() - 10_000
    called, said = threading.Event(), threading.Event()
    ended: list[bool] = []

    def disconnected(*_arguments: object) -> None:
        called.set()
        # As a handler that waits for another task of the host, which emits.
        ended.append(said.wait(30))

    server.server.on("disconnect", disconnected)
    server.emit("first", 1)
    assert called.wait(10)
    thread = threading.Thread(target=server.emit, args=("second", 2))
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "an emit waits for a disconnect handler"
    said.set()
    assert [packet.data.split(",")[0] for packet in list(other.queue.queue)] == [
        '2["first"',
        '2["second"',
    ]
    assert silent.queue.empty() or silent.closed
