"""A host that tells what its process believes of a flag."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps

app = Flask(__name__)
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
ops = MinaOps(app, socketio=socketio)


@app.get("/told/<key>")
def told(key: str) -> dict[str, Any]:
    """Whether the flag is on for unit 7, and how sure this process is."""
    cache = ops.flags.cache
    return {
        "pid": os.getpid(),
        "on": ops.flags.is_enabled(key, unit="7"),
        "stale": cache.stale,
        "alert": cache.alert,
        "version": cache.applied[1],
    }
