"""Apps of a test suite: each is closed after its test, and two live side by side."""

from __future__ import annotations

import signal
import threading

import psycopg
import pytest
import redis
from flask import Flask
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy

from mina_ops import MinaOps
from mina_ops.app.admin.auth import Author
from tests.support.wait import eventually


def use_one_app(redis_url: str, database_url: str, number: int) -> None:
    """As a host's test does: make an app, ask it something, throw it away."""
    app = Flask(__name__)
    app.config.update(
        REDIS_URL=redis_url, SQLALCHEMY_DATABASE_URI=database_url, MINA_OPS_REQUEST_LOG=False
    )
    db = SQLAlchemy(app)
    ops = MinaOps(app, db=db, socketio=SocketIO(app, async_mode="threading"))
    assert app.test_client().get("/api/health/live").status_code == 200
    ops.flags.editor.set(f"flag{number}", {"enabled": True}, Author("test"))
    eventually(lambda: ops.runtime.health.registry.started)
    ops.close()
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("apps", [12, pytest.param(60, marks=pytest.mark.long)])
def test_apps_that_are_closed_leave_neither_threads_nor_connections(
    redis_url: str, database_url: str, apps: int
) -> None:
    client = redis.Redis.from_url(redis_url)
    threads, links = threading.active_count(), len(client.client_list())
    handler = signal.getsignal(signal.SIGTERM)
    for number in range(apps):
        use_one_app(redis_url, database_url, number)
    eventually(lambda: threading.active_count() <= threads + 2)
    eventually(lambda: len(client.client_list()) <= links + 2)
    eventually(lambda: connections_to(database_url) <= 1)
    assert signal.getsignal(signal.SIGTERM) == handler


def connections_to(database_url: str) -> int:
    with psycopg.connect(database_url.replace("+psycopg", "")) as own:
        question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        row = own.execute(question).fetchone()
        assert row is not None
        return int(row[0])


def test_two_apps_of_one_name_in_one_process_are_two(redis_url: str) -> None:
    made = [Flask(__name__) for _ in range(2)]
    both = []
    for app in made:
        app.config.update(REDIS_URL=redis_url, ENVIRONMENT="blue")
        both.append(MinaOps(app, socketio=SocketIO(app, async_mode="threading")))
    try:
        first, second = made
        for app in made:
            app.test_client().get("/api/health/live")
        assert first.test_client().get("/socket.io/?EIO=4&transport=polling").status_code == 200
        asked = second.test_client()
        eventually(lambda: asked.get("/api/metrics/connections").get_json()["reporters"] == 2)
        eventually(
            lambda: asked.get("/api/metrics/connections").get_json()["active_connections"] == 1
        )
        # Its session must leave first: the other one has none and says nothing of this one.
        both[1].drain.begin(Author("ana"), grace_seconds=60)
        assert both[1].drain.status()["state"] == "draining"
    finally:
        for ops in both:
            ops.close()


def test_a_factory_may_be_called_twice_for_one_socketio() -> None:
    socketio = SocketIO()
    made: list[MinaOps] = []

    def create_app() -> Flask:
        app = Flask(__name__)
        ops = MinaOps()
        ops.init_app(app, socketio=socketio)
        socketio.init_app(app, async_mode="threading")
        made.append(ops)
        return app

    apps = [create_app(), create_app()]
    try:
        for app, ops in zip(apps, made, strict=True):
            assert app.test_client().get("/socket.io/?EIO=4&transport=polling").status_code == 200
            assert ops.connections.count().total == 1
    finally:
        for ops in made:
            ops.close()


def test_an_app_that_was_closed_goes_on_to_serve() -> None:
    app = Flask(__name__)
    ops = MinaOps(app)
    app.add_url_rule("/", view_func=lambda: str(ops.flags.is_enabled("audio")))
    client = app.test_client()
    ops.flags.editor.set("audio", {"enabled": True}, Author("test"))
    ops.close()
    ops.close()
    assert client.get("/").text == "True"
    assert client.get("/api/health/live").status_code == 200


def test_handlers_of_two_apps_are_taken_out_in_any_order() -> None:
    before = signal.getsignal(signal.SIGTERM)
    first, second = (MinaOps(Flask(__name__)) for _ in range(2))
    first.close()
    assert signal.getsignal(signal.SIGTERM) != before
    second.close()
    assert signal.getsignal(signal.SIGTERM) == before
