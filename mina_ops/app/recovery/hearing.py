"""Subscribes to the message queue when a process starts, not when its first client connects.

python-socketio subscribes with its first client. An event that another process emitted just before
is then not received here, and may not be in the log yet either, so that client would miss it.
"""

from __future__ import annotations

import time
from typing import Any

# For this long after it began, a subscription may not have reached the queue yet.
_YOUNG_SECONDS = 2.0
# How long to wait then, until earlier events are in the log: more than `log.FLUSH_SECONDS`.
_SETTLE_SECONDS = 0.25


class Hearing:
    """The subscription of one process to its message queue."""

    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self, server: Any) -> None:
        """Subscribe now; idempotent."""
        if not server.manager_initialized:
            server.manager_initialized = True
            server.manager.initialize()
        if self._since is None:
            self._since = time.monotonic()

    def settle(self, server: Any) -> None:
        """Wait 0.25 s if the subscription is younger than 2 s, until the log has earlier events."""
        self.begin(server)
        if self._since is not None and time.monotonic() - self._since < _YOUNG_SECONDS:
            server.sleep(_SETTLE_SECONDS)
