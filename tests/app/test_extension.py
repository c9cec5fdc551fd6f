"""One line in the host, and none of the host is broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Blueprint, Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps
from mina_ops.app.runtime import Runtime
from mina_ops.errors import ConfigurationError

_made: list[Flask] = []


@pytest.fixture(autouse=True)
def _stop_heartbeats() -> Iterator[None]:
    yield
    while _made:
        runtime: Runtime = _made.pop().extensions["mina_ops"]
        runtime.heartbeat.stop()


def _host(socketio: SocketIO | None = None, **config: object) -> Flask:
    app = Flask(__name__)
    app.config.update(config)
    app.get("/")(lambda: "hello")
    if socketio is not None:
        socketio.init_app(app, async_mode="threading")
    _made.append(app)
    return app


def test_the_host_serves_as_before() -> None:
    app = _host()
    MinaOps(app)
    answer = app.test_client().get("/")
    assert answer.data == b"hello"
    assert "X-Mina-Environment" not in answer.headers


def test_a_factory_may_bind_one_socketio_to_two_apps_in_turn() -> None:
    socketio = SocketIO()
    clients = []
    for colour in ("blue", "green"):
        app = _host(socketio, ENVIRONMENT=colour)
        MinaOps(app, socketio=socketio)
        clients.append(app.test_client())
    colours = [client.get("/api/health/live").headers["X-Mina-Environment"] for client in clients]
    assert colours == ["blue", "green"]


def test_one_extension_object_serves_each_app_its_own_parts() -> None:
    ops = MinaOps()
    blue, green = _host(ENVIRONMENT="blue"), _host(ENVIRONMENT="green")
    ops.init_app(blue)
    ops.init_app(green)
    with blue.app_context():
        assert ops.runtime.context.identity.environment == "blue"
    assert ops.runtime.context.identity.environment == "green"


def test_a_second_binding_of_one_app_is_refused() -> None:
    app = _host()
    MinaOps(app)
    with pytest.raises(RuntimeError, match="already"):
        MinaOps(app)


def test_use_before_init_app_says_what_to_call() -> None:
    with pytest.raises(ConfigurationError, match="init_app"):
        _ = MinaOps().flags


def test_a_bad_setting_stops_the_start_not_the_first_request() -> None:
    app = Flask(__name__)
    app.config["MINA_OPS_BEAT"] = "never"
    with pytest.raises(ConfigurationError, match="MINA_OPS_BEAT"):
        MinaOps(app)


def test_the_hosts_blueprints_may_bear_the_names_of_our_parts() -> None:
    app = _host()
    for name in ("ops", "flags", "health", "metrics", "drain", "admin"):
        app.register_blueprint(Blueprint(name, __name__))
    MinaOps(app)
    assert app.test_client().get("/").data == b"hello"


def test_nothing_beats_until_the_first_request() -> None:
    app = _host()
    MinaOps(app)
    runtime: Runtime = app.extensions["mina_ops"]
    assert runtime.heartbeat.running is False
    app.test_client().get("/")
    assert runtime.heartbeat.running is True
