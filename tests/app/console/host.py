"""A host with the one line, a page, and a key that both colours share."""

from __future__ import annotations

import os

from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps

app = Flask(__name__)
app.secret_key = "the-key-that-both-colours-share"
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
ops = MinaOps(app, socketio=socketio)


@app.before_request
def wall() -> tuple[str, int] | None:
    """A wall of the host, which must not stand before the console."""
    return None if os.environ.get("WALL") is None else ("log in first", 401)


if os.environ.get("CLASHES"):

    @app.get("/api/health")
    def health() -> str:
        """A page of the host at a path of ours."""
        return "fine"


@app.get("/")
def page() -> tuple[str, int]:
    """Any page."""
    return os.environ["ENVIRONMENT"], 200
