"""A host whose sessions have something to lose: chunks, slow handlers, holds, bursts.

REDIS_URL       what mina_ops shares
LEDGER_URL      a Redis where what was handled is written down; default: REDIS_URL
MESSAGE_QUEUE   a Redis URL for Flask-SocketIO's message queue
SERIALIZER      `msgpack`: packets are coded with it; default: as stock clients expect
OWN_SIGTERM     `before` or `after`: the host installs its own handler before or after MinaOps
DEAF            with 1 the host never lets a disconnect handler end
IN_ORDER        with 1 events of a client are handled one after the other
MORTAL          with 1 the first process that has handled a chunk once `test:dies` is in the ledger
                is killed before anybody is told
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from hashlib import shake_256
from typing import Any

import redis
from flask import Flask, request
from flask_socketio import SocketIO, emit

from mina_ops import MinaOps
from mina_ops.app.socketio_adapter import half_events
from tests.support.own_sigterm import install_sigterm_handler

COLOUR = os.environ.get("ENVIRONMENT", "production")
LEDGER = "test:ledger:"
FLUSHED = "test:flushed"
DIES = "test:dies"
DIED = "test:died"
GARBLED = "test:garbled"

app = Flask(__name__)
app.config["SECRET_KEY"] = "of a test"
socketio = SocketIO(
    app,
    async_mode=os.environ.get("ASYNC_MODE", "threading"),
    message_queue=os.environ.get("MESSAGE_QUEUE"),
    serializer=os.environ.get("SERIALIZER", "default"),
    async_handlers=os.environ.get("IN_ORDER") != "1",
)
# Not the stock pool: that fails, rather than waits, at its 101st connection.
ledger = redis.Redis(
    connection_pool=redis.BlockingConnectionPool.from_url(
        os.environ.get("LEDGER_URL", os.environ["REDIS_URL"]), timeout=None, decode_responses=True
    )
)

if os.environ.get("OWN_SIGTERM") == "before":
    install_sigterm_handler()
ops = MinaOps(app, socketio=socketio)
if os.environ.get("OWN_SIGTERM") == "after":
    install_sigterm_handler()


@socketio.on("connect")
def _connect() -> None:
    """Everybody may come in."""


@socketio.on("disconnect")
def _disconnect(*_reason: Any) -> None:
    if os.environ.get("DEAF") == "1":
        time.sleep(3600)


@socketio.on("chunk")
def _chunk(message: dict[str, Any]) -> dict[str, Any]:
    stream, seq = message["stream"], message["seq"]
    with ops.streams.receive(stream, seq, stored=lambda: _last(stream)) as fresh:
        if fresh:
            if "size" in message:
                _look_at(message)
            socketio.sleep(message.get("work", 0))
            ledger.rpush(LEDGER + stream, f"{seq} {COLOUR}")
            if os.environ.get("MORTAL") == "1" and ledger.delete(DIES):
                ledger.hset(DIED, mapping={"stream": stream, "seq": seq})
                os.kill(os.getpid(), signal.SIGKILL)
    return {"seq": seq, "fresh": fresh, "environment": COLOUR}


def _look_at(message: dict[str, Any]) -> None:
    """Note a chunk whose attachment is not what its number says."""
    if message["data"] != shake_256(str(message["seq"]).encode()).digest(message["size"]):
        ledger.rpush(GARBLED, f"{message['stream']} {message['seq']}")


def _last(stream: str) -> int:
    entry = ledger.lindex(LEDGER + stream, -1)
    return int(entry.split()[0]) if entry else 0


@socketio.on("work")
def _work(seconds: float) -> str:
    socketio.sleep(seconds)
    return "done"


@socketio.on("connect", namespace="/deaf")
def _connect_deaf() -> None:
    """A namespace whose clients know nothing of hand-offs."""


@socketio.on("plain", namespace="/second")
@socketio.on("plain")
def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """A chunk as a host without mina_ops takes it."""
    if "size" in message:
        _look_at(message)
    ledger.rpush(LEDGER + message["stream"], f"{message['seq']} {COLOUR}")
    return {"seq": message["seq"]}


@socketio.on("reject")
def _reject(message: dict[str, Any]) -> dict[str, Any]:
    return {"seq": message["seq"], "error": "no thanks"}


@socketio.on("slow")
def _slow(until: str) -> str:
    """Runs until this key is in the ledger."""
    while not ledger.exists(until):
        socketio.sleep(0.02)
    emit("slow:done", COLOUR)
    return COLOUR


@socketio.on("burst")
def _burst(count: int) -> str:
    for number in range(count):
        emit("message", number)
    return "sent"


@socketio.on("shout")
def _shout(text: str) -> None:
    socketio.emit("shouted", f"{text} from {COLOUR}")


@socketio.on("hold")
def _hold(name: str, flush: str) -> str:
    def save() -> None:
        if flush == "fail":
            raise RuntimeError("cannot be saved")
        ledger.rpush(FLUSHED, name)

    ops.hold("work", name, flush=None if flush == "none" else save)
    return "held"


@app.post("/flood")
def _flood() -> str:
    """To every client more than the buffers of its connection hold."""
    # By chance, since eventlet compresses what it sends.
    text = secrets.token_hex(500_000)
    for _ in range(100):
        socketio.emit("message", text)
    return "sent"


@app.get("/half")
def _half() -> str:
    """How many events this process holds of which only a part has come."""
    return str(len(half_events(socketio.server)))


@app.get("/pid")
def _pid() -> str:
    """The process that answers."""
    return str(os.getpid())


@app.get("/sid")
def _sid() -> str:
    """The address that the request came from."""
    return str(request.remote_addr)
