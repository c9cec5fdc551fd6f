"""A host whose new feature does harm where `HARM` says so: `errors`, or `slow`."""

from __future__ import annotations

import os
import time

from flask import Flask, abort
from flask_socketio import SocketIO

from mina_ops import MinaOps

HARM = os.environ.get("HARM", "")

app = Flask(__name__)
socketio = SocketIO(app, async_mode="threading")
ops = MinaOps(app, socketio=socketio)


@app.get("/unit/<unit>")
def work(unit: str) -> str:
    """What a visitor does; with the feature it may go wrong."""
    if not ops.flags.is_enabled("enable_audio_replay", unit=unit):
        return "old"
    if HARM == "errors":
        abort(500)
    if HARM == "slow":
        time.sleep(0.5)
    return "new"
