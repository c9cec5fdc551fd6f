"""A line to a Socket.IO server on which what a client says can be held up, in the middle too."""

from __future__ import annotations

import socket
import threading

from tests.support.lines import Line

# Longer than any test: only a bug would wait so long.
_LONGEST_SECONDS = 120.0


class HoldingLine(Line):
    """Holds up what clients write: the POSTs of those that poll, all that goes up a websocket.

    Attributes:
        held: set once something waits in here.
    """

    def __init__(self, server_port: int) -> None:
        self.held = threading.Event()
        self._passing: int | None = None
        self._goes_on = threading.Event()
        self._writers: set[int] = set()
        super().__init__(server_port)

    def hold(self, after: int) -> None:
        """From now on only so many more bytes get through until `release`."""
        self._passing = after
        self._goes_on.clear()
        self.held.clear()

    def release(self) -> None:
        """Let it all through."""
        self._passing = None
        self._goes_on.set()

    def pass_on(self, data: bytes, sink: socket.socket, *, connection: int, answer: bool) -> None:
        """See `Line`."""
        if not answer and data.startswith(b"POST "):
            self._writers.add(connection)
        elif not answer and data.startswith(b"GET "):
            self._writers.discard(connection)
        most = self._passing
        if answer or connection not in self._writers or most is None:
            sink.sendall(data)
            if not answer and b"upgrade: websocket" in data.lower():
                self._writers.add(connection)
            return
        sink.sendall(data[:most])
        self._passing = max(0, most - len(data))
        if len(data) > most:
            self.held.set()
            self._goes_on.wait(_LONGEST_SECONDS)
            sink.sendall(data[most:])

    def close(self) -> None:
        """See `Line`."""
        self.release()
        super().close()
