"""Finds the Socket.IO server that belongs to an app, whenever the host makes it.

`SocketIO.init_app` makes a new server each time, so one `SocketIO` object that is bound to two
apps in turn has had two servers; the WSGI wrapper that it leaves tells whose the last one is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from flask import Flask

_WATCHERS = "mina_ops_watchers"


class SocketIOBinding:
    """The Socket.IO server of one app, as soon as there is one.

    Args:
        app: the host's app.
        socketio: its Flask-SocketIO object, before or after `init_app`; None: look for one in
            the app's extensions when the process starts to serve.
    """

    def __init__(self, app: Flask, socketio: Any = None) -> None:
        self.app = app
        self.server: Any | None = None
        """The app's `socketio.Server`, once it is known."""
        self._given = socketio
        self._listeners: list[Callable[[Any], None]] = []
        if socketio is not None:
            self._look()
            _watchers_of(socketio).add(self)

    @property
    def socketio(self) -> Any | None:
        """The host's Flask-SocketIO object, given or found; None: it has none."""
        return self._given or self.app.extensions.get("socketio")

    @property
    def has_queue(self) -> bool:
        """Whether events of other processes reach the clients of this one."""
        return self.server is not None and hasattr(self.server.manager, "channel")

    @property
    def path(self) -> str:
        """Path below which Socket.IO is served, as `/socket.io/`; the stock one until known."""
        socketio = self.socketio
        if socketio is None or _server_of(socketio, self.app) is None:
            options = getattr(socketio, "server_options", None) or {}
            name = str(options.get("path") or options.get("resource") or "socket.io")
            return f"/{name.strip('/')}/"
        return str(socketio.sockio_mw.engineio_path)

    def when_bound(self, listener: Callable[[Any], None]) -> None:
        """Call `listener(server)` for the app's server, now or as soon as it is made."""
        self._listeners.append(listener)
        if self.server is not None:
            listener(self.server)

    def look_again(self) -> None:
        """Find a server that the host made where we could not see it."""
        self._look()

    def close(self) -> None:
        """Watch no longer; idempotent."""
        self._listeners.clear()
        if self._given is not None:
            _watchers_of(self._given).discard(self)

    def _look(self) -> None:
        socketio = self.socketio
        server = None if socketio is None else _server_of(socketio, self.app)
        if server is not None and server is not self.server:
            self.server = server
            for listener in self._listeners:
                listener(server)


def _server_of(socketio: Any, app: Flask) -> Any | None:
    """The `socketio.Server` that a Flask-SocketIO object made for an app; None: not yet."""
    wrapper = getattr(socketio, "sockio_mw", None)
    if wrapper is not None and wrapper.flask_app is app:
        return socketio.server
    return None


def _watchers_of(socketio: Any) -> WeakSet[SocketIOBinding]:
    """The bindings that look again after each `init_app` of a Flask-SocketIO object.

    They lie on that object, which is wrapped one time however many apps it is bound to.
    """
    watchers: WeakSet[SocketIOBinding] | None = getattr(socketio, _WATCHERS, None)
    if watchers is None:
        watchers = WeakSet()
        setattr(socketio, _WATCHERS, watchers)
        _wrap_init_app(socketio, watchers)
    return watchers


def _wrap_init_app(socketio: Any, watchers: WeakSet[SocketIOBinding]) -> None:
    init_app = socketio.init_app

    def init_and_tell(app: Any, **options: Any) -> Any:
        result = init_app(app, **options)
        for binding in list(watchers):
            if binding.app is app:
                binding._look()
        return result

    socketio.init_app = init_and_tell
