"""The same job without mina_ops: what stock Flask-SocketIO does with a SIGTERM."""

from __future__ import annotations

import os
from typing import Any

import redis
from flask import Flask
from flask_socketio import SocketIO

COLOUR = os.environ["ENVIRONMENT"]
LEDGER = "test:ledger:"

app = Flask(__name__)
socketio = SocketIO(app, async_mode=os.environ["ASYNC_MODE"])
ledger = redis.Redis(
    connection_pool=redis.BlockingConnectionPool.from_url(
        os.environ["REDIS_URL"], timeout=None, decode_responses=True
    )
)


@socketio.on("plain")
def _plain(message: dict[str, Any]) -> dict[str, Any]:
    ledger.rpush(LEDGER + message["stream"], f"{message['seq']} {COLOUR}")
    return {"seq": message["seq"]}


@app.get("/")
def greet() -> str:
    """Something to ask."""
    return COLOUR
