"""Gives other tasks of a gevent or eventlet loop their turn during the drain's long loops."""

from __future__ import annotations

import time
from typing import Any

# How long to work between two yields. A time, not a number of sessions: on a busy loop each yield
# takes long, and hundreds of them would hold up the drain.
WORK_SECONDS = 0.005
# Where yields take long, work for half as long as the last one took, up to this.
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
