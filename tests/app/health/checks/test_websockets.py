"""The websockets check knocks on the handshake's whole path and opens no session."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_socketio import SocketIO

from mina_ops.app.health.checks.websockets import websockets_check
from mina_ops.app.health.model import Unhealthy, Warned
from mina_ops.app.socketio_binding import SocketIOBinding


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
        check = websockets_check(SocketIOBinding(app, socketio), lambda beside=beside: beside)
        assert check.run is not None
        if not warned:
            check.run()
            continue
        with pytest.raises(Warned, match="green runs too and there is no message queue"):
            check.run()


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
