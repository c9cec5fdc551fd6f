"""The state of one session that was asked to leave; `closer.py` moves it on."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from mina_ops.app.sessions.session import Session


@dataclass
class Departure:
    """A session that was asked to leave. Moments are on the monotonic clock; None: not yet."""

    session: Session
    asked_at: float
    waited_for: set[int]
    """Handlers that ran when it was asked, or when it answered: these may end first."""
    is_answered: bool = False
    """Whether its client acknowledged."""
    has_had_its_time: bool = False
    """Whether its client acknowledged or took too long; no chunk is begun here any more."""
    quiet_since: float | None = None
    """Since when nothing waits to be sent."""
    settling_since: float | None = None
    """Since when none of its handlers, chunks and holds is waited for."""
    closing: Event | None = None
    """Set when the close has ended, the host's disconnect handlers with it."""
    closing_since: float = 0.0
    closed_at: float | None = None
    has_taken_all: bool = True
    """Whether nothing waited to be sent when it was closed."""
    arriving: list[object] | None = None
    """What had begun to arrive when its time was over, and is let arrive whole."""

    def still_arrives(self, present: list[object]) -> bool:
        """Whether something of that is not whole yet; the handlers of what is are let end.

        Args:
            present: what of its client is on its way in now.
        """
        if self.arriving is None:
            return False
        if not self.arriving:
            # Its handlers count as running since the last look at the latest.
            self.waited_for |= self.session.running
            self.arriving = None
            return False
        self.arriving = [one for one in self.arriving if one in present]
        return True
