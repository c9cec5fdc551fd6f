"""The connections that one stock `socketio.Client` makes, so that all of them can be closed.

python-engineio leaves a connection that its server ended to the garbage collector: the websocket
after a close frame, the session of a long poll. A client that moves or comes back a hundred times
would hold as many sockets until then.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import requests
import websocket


class Links:
    """Give `options` to one `socketio.Client`, and call `end` when that is done with.

    It is the same client as without: only the objects that its connections are made with are ours.
    """

    def __init__(self) -> None:
        self._session = requests.Session()
        self._websocket: Any = None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments for `socketio.Client`."""
        made_by = {"class_": self._new_websocket}
        return {"http_session": self._session, "websocket_extra_options": made_by}

    def end(self, client: Any) -> None:
        """End the client that these are of, for good; waits while it tries to come back."""
        client.reconnection = False
        if not client.connected:
            # One that is coming back is told to stop, and may have come in meanwhile. Before 5.12
            # there is no call for that: then its present attempt is its last one.
            client.reconnection_attempts = 1
            getattr(client, "shutdown", lambda: None)()
        # Not `disconnect()`: over polling its tasks wait for each other for half a minute.
        client.eio.disconnect(abort=True)
        self.close()

    def close(self) -> None:
        """Close what is open; idempotent. A long poll under way is closed when it is answered."""
        self._close_websocket()
        self._session.close()

    def _new_websocket(self, **options: Any) -> Any:
        """A client has one connection at a time, so the one before has ended."""
        self._close_websocket()
        self._websocket = websocket.WebSocket(**options)
        return self._websocket

    def _close_websocket(self) -> None:
        """At once: `WebSocket.close` waits up to 3 s for the peer's close frame."""
        if self._websocket is None or self._websocket.sock is None:
            return
        with suppress(OSError):
            # Else a thread that reads from it would go on doing so.
            self._websocket.sock.shutdown(socket.SHUT_RDWR)
        self._websocket.shutdown()
