"""Finds the Socket.IO server that belongs to an app, whenever the host makes it.

`SocketIO.init_app` makes a new server each time, so one `SocketIO` object that is bound to two
apps in turn has had two servers; the WSGI wrapper that it leaves tells whose the last one is.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from flask import Flask

Bind = Callable[[Any], None]


def server_of(socketio: Any, app: Flask) -> Any | None:
    """The `socketio.Server` that a Flask-SocketIO object made for an app; None: not yet."""
    wrapper = getattr(socketio, "sockio_mw", None)
    if wrapper is not None and wrapper.flask_app is app:
        return socketio.server
    return None


def path_of(socketio: Any, app: Flask) -> str:
    """Path below which Socket.IO is served, as `/socket.io/`; the stock one until it is known."""
    if server_of(socketio, app) is None:
        options = getattr(socketio, "server_options", None) or {}
        name = str(options.get("path") or options.get("resource") or "socket.io")
        return f"/{name.strip('/')}/"
    return str(socketio.sockio_mw.engineio_path)


def bind_later(socketio: Any, app: Flask, bind: Bind) -> None:
    """Call `bind(server)` as soon as `socketio.init_app(app)` has made a server for this app."""
    init_app = socketio.init_app
    ours = weakref.ref(app)

    def init_and_bind(other: Any, **options: Any) -> Any:
        result = init_app(other, **options)
        if other is not None and other is ours():
            bind(socketio.server)
        return result

    socketio.init_app = init_and_bind
