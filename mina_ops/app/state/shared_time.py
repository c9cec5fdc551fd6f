"""Keeps the clock of a process in step with the store's clock, which all processes share."""

from __future__ import annotations

import math
from contextlib import suppress

from mina_ops.app.clock import Clock
from mina_ops.app.state.base import Store
from mina_ops.errors import StateUnavailable

ASK_SECONDS = 10.0


class SharedTime:
    """Asks the store for the time every 10 s; in between, the monotonic clock counts on."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._asked_at = -math.inf

    def beat(self, now: float) -> None:
        """Ask again if that is due; a store that is away, or forbids TIME, changes nothing."""
        at = self._clock.monotonic()
        if at - self._asked_at < ASK_SECONDS:
            return
        with suppress(StateUnavailable):
            self._clock.follow(self._store.time())
            self._asked_at = at
