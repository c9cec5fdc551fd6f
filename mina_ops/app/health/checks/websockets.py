"""The check `websockets`: whether the app has a Socket.IO server that answers handshakes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from mina_ops.app.health.model import Check, Unhealthy, Warned
from mina_ops.app.socketio_binding import SocketIOBinding
from mina_ops.app.worker import misfit

_SERVING = ("200", "503")  # 503: new sessions are refused while draining, as they should be


def websockets_check(
    binding: SocketIOBinding, colours_beside: Callable[[], list[str]] = list
) -> Check:
    """An `OPTIONS` request through the handshake's whole path; it opens no session.

    Disabled where the host has no Flask-SocketIO object. The object itself knows only the server
    of the app that it was bound to last, so the binding's comes first.

    Args:
        colours_beside: other colours that run now. Without a message queue what one emits never
            reaches clients of the other, which is warned of.
    """
    socketio = binding.socketio
    if socketio is None:
        return Check(name="websockets", run=None, shared=False)

    def examine() -> None:
        server = _knock(binding.server or getattr(socketio, "server", None))
        if (why := misfit(server.eio.async_mode)) is not None:
            raise Unhealthy(why)
        others = [] if binding.has_queue else colours_beside()
        if others:
            raise Warned(
                f"{' and '.join(others)} runs too and there is no message queue: what one colour "
                "emits never reaches clients of the other. Give SocketIO(message_queue=REDIS_URL)"
            )

    return Check(
        name="websockets",
        run=examine,
        deadline_seconds=2.0,
        ttl_seconds=10.0,
        shared=False,
        words=("available", "unavailable"),
    )


def _knock(server: Any) -> Any:
    """The server, which answered at the handshake's path."""
    if server is None:
        raise Unhealthy("Socket.IO is not attached to the app: socketio.init_app was not called")
    statuses: list[str] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status)
        return lambda data: None

    list(server.handle_request(_options_request(server), start) or ())
    if not statuses or not statuses[0].startswith(_SERVING):
        raise Unhealthy(f"the handshake's path answered {statuses[:1] or 'nothing'}")
    return server


def _options_request(server: Any) -> dict[str, Any]:
    transports = getattr(server.eio, "transports", None) or ["polling"]
    return {
        "REQUEST_METHOD": "OPTIONS",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/socket.io/",
        "QUERY_STRING": f"EIO=4&transport={transports[0]}",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
