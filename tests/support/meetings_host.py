"""A host whose routes are named otherwise than the playbook's, and that streams nothing."""

from __future__ import annotations

import os
from uuid import uuid4

from flask import Flask, request
from flask.typing import ResponseReturnValue
from flask_socketio import SocketIO

from mina_ops import MinaOps

TOKEN = "the-token-of-the-meetings"
meetings: dict[str, list[str]] = {}
app = Flask(__name__)
app.config["SECRET_KEY"] = "of a test"
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
MinaOps(app, socketio=socketio)


@app.before_request
def only_with_token() -> ResponseReturnValue | None:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return {"error": "who are you?"}, 401
    return None


@app.post("/v1/meetings")
def open_meeting() -> ResponseReturnValue:
    meeting = f"m-{uuid4()}"
    meetings[meeting] = [request.get_json()["name"]]
    return {"id": meeting, "state": "open"}, 201


@app.get("/v1/meetings")
def all_of_them() -> ResponseReturnValue:
    return {"meetings": list(meetings)}


@app.put("/v1/meetings/<meeting>/lines")
def add_line(meeting: str) -> ResponseReturnValue:
    meetings[meeting].append(request.get_json()["line"])
    return "", 204


@app.post("/v1/meetings/<meeting>/close")
def close(meeting: str) -> ResponseReturnValue:
    return {"state": os.environ.get("CLOSED", "closed")}


@app.delete("/v1/meetings/<meeting>")
def remove(meeting: str) -> ResponseReturnValue:
    del meetings[meeting]
    return "", 204
