"""Finds the TCP socket below a websocket, so that the connection of a stalled peer can be cut."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


def link_of(environ: Mapping[str, Any]) -> Any | None:
    """The socket that a request came over; None under a server that we do not know.

    Werkzeug, gunicorn, eventlet and gevent each keep it in another place of the environ.
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
    """End all reading from a socket, so that a blocked `recv` returns; idempotent.

    Data that was sent before still goes out.
    """
    with suppress(OSError, AttributeError):
        link.shutdown(socket.SHUT_RD)


def cut(link: Any) -> None:
    """Shut a connection down in both directions at once; unsent data is lost; idempotent."""
    with suppress(OSError, AttributeError):
        link.shutdown(socket.SHUT_RDWR)
