"""The websockets check knocks on the handshake's whole path and opens no session."""

from __future__ import annotations

from functools import partial

import httpx
import pytest
from flask import Flask
from flask_socketio import SocketIO

from mina_ops.app.health.checks.websockets import websockets_check
from mina_ops.app.health.model import Unhealthy, Warned
from mina_ops.app.socketio_binding import SocketIOBinding
from tests.support.hosts import Hosts
from tests.support.wait import eventually


def test_a_host_without_socketio_has_none() -> None:
    assert websockets_check(SocketIOBinding(Flask(__name__))).run is None


def test_an_attached_server_answers_and_keeps_no_session() -> None:
    app = Flask(__name__)
    socketio = SocketIO(app, async_mode="threading")
    check = websockets_check(SocketIOBinding(app, socketio))
    assert check.run is not None
    check.run()
    assert socketio.server.eio.sockets == {}


def test_a_server_with_websockets_only_answers_too() -> None:
    app = Flask(__name__)
    socketio = SocketIO(app, async_mode="threading", transports=["websocket"])
    check = websockets_check(SocketIOBinding(app, socketio))
    assert check.run is not None
    check.run()


def test_a_server_that_was_never_attached_is_unfit() -> None:
    check = websockets_check(SocketIOBinding(Flask(__name__), SocketIO()))
    assert check.run is not None
    with pytest.raises(Unhealthy, match="init_app"):
        check.run()


def test_two_colours_without_a_message_queue_are_warned_of(redis_url: str) -> None:
    for queue, beside, warned in (
        (None, ["green"], True),
        (None, [], False),
        (redis_url, ["green"], False),
    ):
        app = Flask(__name__)
        socketio = SocketIO(app, async_mode="threading", message_queue=queue)
        check = websockets_check(SocketIOBinding(app, socketio), partial(list, beside))
        assert check.run is not None
        if not warned:
            check.run()
            continue
        with pytest.raises(Warned, match="green runs too and there is no message queue"):
            check.run()


@pytest.mark.parametrize(("mode", "fit"), [("gevent", False), ("threading", True)])
def test_a_worker_class_that_does_not_fit_the_async_mode_is_unfit(
    start_host: Hosts, mode: str, fit: bool
) -> None:
    host = start_host("tests.app.drain.ending_host:app", environment={"ASYNC_MODE": mode})

    def judged() -> bool:
        answer = httpx.get(f"{host.url}/api/health/websockets", timeout=5)
        return bool(answer.json()["status"] == ("available" if fit else "unavailable"))

    eventually(judged, 10)
    ready = httpx.get(f"{host.url}/api/health/ready", timeout=5)
    assert (ready.status_code == 200) is fit
    if not fit:
        assert "worker class is gthread: no websocket comes in" in host.log.read_text()


def test_a_host_that_needs_no_message_queue_silences_every_warning_of_it(
    start_host: Hosts, redis_url: str
) -> None:
    common = {"REDIS_URL": redis_url, "MINA_OPS_BEAT": "0.2", "MINA_OPS_QUEUE_NEEDED": "0"}
    colours = [
        start_host("tests.app.drain.ending_host:app", environment={**common, "ENVIRONMENT": name})
        for name in ("blue", "green")
    ]

    def hears_of_green() -> bool:
        url = f"{colours[0].url}/api/metrics/connections?environment=green"
        found = httpx.get(url, timeout=5).json()
        return bool(found["reporters"]) and found["message_queue"] is None

    eventually(hears_of_green, 10)
    checked = httpx.get(f"{colours[0].url}/api/health/websockets", timeout=5).json()
    assert checked["status"] == "available"
    assert "reason" not in checked
    assert "message queue" not in colours[0].log.read_text()


@pytest.mark.parametrize(("answer", "fit"), [("503 Draining", True), ("500 Oops", False)])
def test_a_server_that_drains_is_fit_and_a_broken_hook_is_not(answer: str, fit: bool) -> None:
    app = Flask(__name__)
    socketio = SocketIO(app, async_mode="threading")
    socketio.server.handle_request = lambda environ, start: start(answer, []) and []
    check = websockets_check(SocketIOBinding(app, socketio))
    assert check.run is not None
    if fit:
        check.run()
    else:
        with pytest.raises(Unhealthy, match="500"):
            check.run()
