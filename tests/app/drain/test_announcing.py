from __future__ import annotations

from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps
from mina_ops.app.admin.auth import Author
from mina_ops.app.drain import telling
from mina_ops.app.runtime import Runtime
from tests.support.wait import eventually

POLL = "/socket.io/?EIO=4&transport=polling"


def test_who_was_not_told_of_a_drain_is_not_told_once_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The second one's turn comes in 1000 s: when the test says so.
    monkeypatch.setattr(telling, "TOLD_A_SECOND", 0.001)
    cancelled = Event()
    app = Flask(__name__)
    app.config.update(MINA_OPS_DRAIN_ON_SIGTERM=False)
    socketio = SocketIO(app, async_mode="threading")
    MinaOps(app, socketio=socketio)
    runtime: Runtime = app.extensions["mina_ops"]
    client, told, tasks = app.test_client(), [], []
    server, start = socketio.server, socketio.server.start_background_task

    def emit(event: str, *_: Any, **__: Any) -> None:
        told.append(event)

    def start_and_keep(*arguments: Any, **options: Any) -> Thread:
        tasks.append(start(*arguments, **options))
        return tasks[-1]

    try:
        for _ in range(3):
            sid = client.get(POLL).text.split('"sid":"')[1].split('"')[0]
            assert client.post(f"{POLL}&sid={sid}", data="40").status_code == 200
        monkeypatch.setattr(server, "emit", emit)
        monkeypatch.setattr(server, "sleep", lambda _: cancelled.wait(60))
        monkeypatch.setattr(server, "start_background_task", start_and_keep)
        runtime.drain.begin(Author("ana"), grace_seconds=60)
        eventually(lambda: "server:draining" in told)
        runtime.drain.cancel(Author("ana"))
        cancelled.set()
        for task in tasks:
            task.join(60)
        # One by the announcement, perhaps another one that was let go at once.
        assert told.count("server:draining") < 3
    finally:
        runtime.heartbeat.stop()
