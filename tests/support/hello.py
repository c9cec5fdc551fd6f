"""The smallest host: one page that greets, and Socket.IO in the mode of the environment."""

from __future__ import annotations

import os

from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))


@app.get("/")
def greet() -> str:
    """The greeting of the environment."""
    return os.environ.get("GREETING", "hello")


@app.get("/mode")
def mode() -> str:
    """Socket.IO's mode, as it came out."""
    return str(socketio.async_mode)
