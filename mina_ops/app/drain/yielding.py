"""Lets other tasks of a process have their turn while the drain works through its sessions."""

from __future__ import annotations

import time
from typing import Any

# Work for so long, then let other tasks have their turn of the loop. By time, not by number of
# sessions: on a busy loop a turn takes long, and hundreds of them would hold up the drain.
WORK_SECONDS = 0.005
# Where the others' turns take long, ours may take half of that, up to so long.
LONGEST_WORK_SECONDS = 0.015


class Yielder:
    """Gives the loop to other tasks after each few milliseconds of work, as `sleep(0)` does.

    Without it a drain of 5,000 sessions would hold a gevent or eventlet loop, and every request on
    it, until the last session was told.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._since = time.monotonic()
        self._longest = WORK_SECONDS

    def yield_if_due(self) -> None:
        """Call it after each session; it yields if enough time went by since it last did."""
        before = time.monotonic()
        if before - self._since <= self._longest:
            return
        self._server.sleep(0)
        self._since = time.monotonic()
        share = (self._since - before) / 2
        self._longest = min(max(WORK_SECONDS, share), LONGEST_WORK_SECONDS)
