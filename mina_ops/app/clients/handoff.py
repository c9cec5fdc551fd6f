"""A hand-over as a client sees it: the events, how long each step may take, who is told.

The times are those of mina-stream.js.
"""

from __future__ import annotations

from typing import Protocol

# Asks a client to stop sending; its acknowledgement says that it has.
HANDOFF = "session:handoff"
# Says that the client is connecting elsewhere, and needs more time for that acknowledgement.
MOVING = "session:moving"
# The server waits up to 5 s for a client that said so.
MOVE_SECONDS = 4.0
# Between two tries to connect elsewhere.
RETRY_SECONDS = 0.1
# How long the old connection may take to end once it was let go.
LET_GO_SECONDS = 15.0


class Passenger(Protocol):
    """Code that sends over the connection, and must be told before and after it changes."""

    def settle(self, seconds: float) -> None:
        """Begin nothing more; return when nothing is under way, or after `seconds`."""

    def moved(self) -> None:
        """The next connection is in use; the old one may still have what was under way."""

    def let_go(self) -> None:
        """The old connection has ended."""
