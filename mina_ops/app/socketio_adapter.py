"""The only file that names private attributes of python-socketio and python-engineio.

Those libraries have no public seam where handlers that run now can be counted, or a handshake be
answered with their own CORS headers. Each name below may move with any release of theirs, so the
contract test (tests/app/test_socketio_adapter.py) uses each of them, in the oldest versions that
we support, in Mina's own and in the newest ones, and says which one moved.

    name                                        seen in           what for
    socketio.Server._handle_event               5.9.0 - 5.18.1   an event arrived
    socketio.Server._handle_event_internal      5.9.0 - 5.18.1   its handler runs and ends
    socketio.Server._handle_connect             5.9.0 - 5.18.1   a client joins a namespace
    socketio.Server._trigger_event              5.9.0 - 5.18.1   an event that nobody handles
    engineio.Server._async["websocket"]         4.7.0 - 4.15.1    the server's own websocket class
    engineio.Server._cors_headers               4.7.0 - 4.15.1    CORS headers of a refusal
    engineio.Server._cors_allowed_origins       4.7.0 - 4.15.1    who may use the raw ping

It imports nothing, so that it can be tried in an environment that holds these libraries alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Call = Callable[..., Any]
Wrapper = Callable[[Call], Call]
"""Gets what was called until now, returns what is called from now on."""

_OF_SERVER = ("_handle_event", "_handle_event_internal", "_handle_connect", "_trigger_event")
_OF_ENGINE = ("_async", "_cors_headers", "_cors_allowed_origins")


def missing_names(server: Any) -> list[str]:
    """Names of the table above that a `socketio.Server` does not have."""
    found = [f"socketio.Server.{name}" for name in _OF_SERVER if not hasattr(server, name)]
    return found + [
        f"engineio.Server.{name}" for name in _OF_ENGINE if not hasattr(server.eio, name)
    ]


def wrap_arrival(server: Any, wrapper: Wrapper) -> None:
    """Wrap what takes each event in: `(eio_sid, namespace, id, data)`.

    It returns before the handler has run where handlers have threads of their own.
    """
    server._handle_event = wrapper(server._handle_event)


def wrap_handling(server: Any, wrapper: Wrapper) -> None:
    """Wrap what runs an event's handler to its end: `(server, sid, eio_sid, ...)`."""
    server._handle_event_internal = wrapper(server._handle_event_internal)


def wrap_connect(server: Any, wrapper: Wrapper) -> None:
    """Wrap what lets a client into a namespace: `(eio_sid, namespace, data)`."""
    server._handle_connect = wrapper(server._handle_connect)


def wrap_trigger(server: Any, wrapper: Wrapper) -> None:
    """Wrap what calls the host's handler: `(event, namespace, sid, ...)`.

    It returns `server.not_handled` where there is none. (5.9 returns None if the host handles
    nothing at all in that namespace.)
    """
    server._trigger_event = wrapper(server._trigger_event)


def websocket_class(server: Any) -> Call:
    """The WSGI app class that upgrades a request under the async mode that runs."""
    found: Call = server.eio._async["websocket"]
    return found


def cors_headers(server: Any, environ: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The CORS headers with which the server itself would answer a request."""
    headers: Iterable[tuple[str, str]] = server.eio._cors_headers(environ)
    return headers


def allowed_origins(server: Any, environ: Mapping[str, Any]) -> Iterable[str] | None:
    """The origins that the server takes a request from; None: from all."""
    origins: Iterable[str] | None = server.eio._cors_allowed_origins(environ)
    return origins
