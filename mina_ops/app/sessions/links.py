"""The TCP connections below websockets, so that a stalled peer's can be cut."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


def link_of(environ: Mapping[str, Any]) -> Any | None:
    """The socket that a request came over, under any server that we support; else None.

    A server hides it where simple-websocket, which needs it as well, looks for it.
    """
    for key in ("werkzeug.socket", "gunicorn.socket"):
        if environ.get(key) is not None:
            return environ[key]
    own = environ.get("eventlet.input")
    if own is not None:
        return own.get_socket()
    stream = environ.get("wsgi.input")
    if not hasattr(stream, "raw"):
        stream = getattr(stream, "rfile", None)
    return getattr(getattr(stream, "raw", None), "_sock", None)


def stop_reading(link: Any) -> None:
    """Wake whoever reads from a socket: what was sent still goes out; idempotent."""
    with suppress(OSError, AttributeError):
        link.shutdown(socket.SHUT_RD)


def cut(link: Any) -> None:
    """End a connection in both directions now, whatever waits in it; idempotent."""
    with suppress(OSError, AttributeError):
        link.shutdown(socket.SHUT_RDWR)
