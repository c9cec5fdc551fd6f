"""A host's own tests, with Flask-SocketIO's test client, see every event that is sent."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_socketio import SocketIO, emit

from mina_ops import MinaOps


def _host(**settings: str) -> tuple[Flask, SocketIO]:
    app = Flask(__name__)
    app.config.update(MINA_OPS_QUEUE_NEEDED=False, **settings)
    socketio = SocketIO(app, async_mode="threading")

    @socketio.on("ask")  # type: ignore[untyped-decorator]
    def _ask() -> None:
        emit("text", {"n": 1})
        emit("picture", {"data": b"\x00\x01"})
        emit("news", b"\x02", broadcast=True)

    MinaOps(app, socketio=socketio)
    return app, socketio


@pytest.mark.parametrize("recovery", ["", "/"])
@pytest.mark.parametrize("served_before", [False, True])
def test_it_gets_texts_and_bytes(recovery: str, served_before: bool) -> None:
    app, socketio = _host(MINA_OPS_RECOVERY_NAMESPACES=recovery)
    if served_before:
        app.test_client().get("/")
    client = socketio.test_client(app)
    app.test_client().get("/")
    client.emit("ask")
    found: list[dict[str, Any]] = client.get_received()
    assert [event["name"] for event in found] == ["text", "picture", "news"]
    assert found[1]["args"][0] == {"data": b"\x00\x01"}
    assert found[2]["args"][0] == b"\x02"
