"""A host whose server says a lot: to rooms, to everybody, to one, binary and from beside requests.

REDIS_URL       what mina_ops shares, and where the chunks that were handled are written down
MESSAGE_QUEUE   a Redis URL for Flask-SocketIO's message queue; empty: none
"""

from __future__ import annotations

import os
import time
from typing import Any

import redis
from flask import Flask, request, session
from flask_socketio import SocketIO, emit, join_room

from mina_ops import MinaOps

COLOUR = os.environ.get("ENVIRONMENT", "production")

app = Flask(__name__)
app.config["SECRET_KEY"] = "of a test"
app.config["MINA_OPS_RECOVERY_NAMESPACES"] = ("/",)
socketio = SocketIO(
    app,
    async_mode=os.environ.get("ASYNC_MODE", "threading"),
    message_queue=os.environ.get("MESSAGE_QUEUE") or None,
)
ops = MinaOps(app, socketio=socketio)
# Not the stock pool: that fails, rather than waits, at its 101st connection.
ledger = redis.Redis(
    connection_pool=redis.BlockingConnectionPool.from_url(
        os.environ["REDIS_URL"], timeout=None, decode_responses=True
    )
)


@socketio.on("connect")
def _connect(auth: Any = None) -> None:
    """Everybody may come in; nobody is put into a room here."""
    if auth is not None and ("pid" in auth or "offset" in auth):
        raise ValueError("the host is not to see what recovers a session")


@socketio.on("connect", namespace="/other")
def _connect_other() -> None:
    """A namespace that the host does not name for recovery."""


@socketio.on("join")
def _join(room: str, name: str) -> str:
    join_room(room)
    session["name"] = name
    return COLOUR


@socketio.on("who")
def _who() -> dict[str, Any]:
    return {"name": session.get("name"), "colour": COLOUR}


@socketio.on("tick for")
def _tick_for(seconds: float) -> str:
    """A background task of this process that talks to one client."""
    sid = request.sid  # type: ignore[attr-defined]

    def tick() -> None:
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            number += 1
            socketio.emit("tick", number, to=sid)
            socketio.sleep(0.05)
        socketio.emit("ticked", number, to=sid)

    socketio.start_background_task(tick)
    return sid


@socketio.on("chunk")
def _chunk(message: dict[str, Any]) -> dict[str, Any]:
    stream, seq = message["stream"], message["seq"]

    def last() -> int:
        entry = ledger.lindex(f"test:ledger:{stream}", -1)
        return int(entry.split()[0]) if entry else 0

    with ops.streams.receive(stream, seq, stored=last) as fresh:
        if fresh:
            ledger.rpush(f"test:ledger:{stream}", f"{seq} {COLOUR}")
    return {"seq": seq, "environment": COLOUR}


@socketio.on("others")
def _others(number: int) -> None:
    emit("number", number, to="room", include_self=False)


@app.post("/say/<int:number>/without/<sid>")
def _say_without(number: int, sid: str) -> str:
    socketio.emit("number", number, to="room", skip_sid=sid)
    return COLOUR


@app.post("/say/<int:number>/asking")
def _say_asking(number: int) -> str:
    """An event with a callback."""
    socketio.emit("number", number, to="room", callback=lambda *_: None)
    return COLOUR


@app.post("/say/<int:number>")
def _say(number: int) -> str:
    """An event of a request, now and then binary."""
    data: Any = {"n": number, "b": b"\x00\x01"} if number % 5 == 0 else number
    socketio.emit("number", data, to="room")
    return COLOUR
