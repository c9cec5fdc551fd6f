"""Hears the message queue from a process's start on, and knows when that is too fresh to rely on.

python-socketio subscribes with its first client, which is too late for that one: an event that
another process emits just before is not heard here, and is not in the log yet.
"""

from __future__ import annotations

import time
from typing import Any

# So young is a process whose subscription may not have reached the queue yet, and so long it waits
# for what was emitted before that: longer than a log gathers (`log.FLUSH_SECONDS`).
_YOUNG_SECONDS = 2.0
_SETTLE_SECONDS = 0.25


class Hearing:
    """The subscription of one process to its message queue."""

    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self, server: Any) -> None:
        """Hear from now on; idempotent."""
        if not server.manager_initialized:
            server.manager_initialized = True
            server.manager.initialize()
        if self._since is None:
            self._since = time.monotonic()

    def settle(self, server: Any) -> None:
        """Where it began a moment ago, wait until what came before is in the log: 0.25 s."""
        self.begin(server)
        if self._since is not None and time.monotonic() - self._since < _YOUNG_SECONDS:
            server.sleep(_SETTLE_SECONDS)
