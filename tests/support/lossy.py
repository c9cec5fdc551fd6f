"""A line to a server that loses what it is told to lose."""

from __future__ import annotations

import socket

from tests.support.lines import Line


class LossyLine(Line):
    """Answers of the server that hold `losing` go nowhere.

    Attributes:
        losing: what is lost; None: nothing.
        lost: how many answers were.
    """

    losing: bytes | None = None
    lost = 0

    def pass_on(self, data: bytes, sink: socket.socket, *, connection: int, answer: bool) -> None:
        """See `Line`."""
        if answer and self.losing is not None and self.losing in data:
            self.lost += 1
        else:
            sink.sendall(data)
