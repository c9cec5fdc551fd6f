"""Puts off full garbage collections while sessions move.

A full collection looks at every object: with 5,000 sessions it stops the process for half a second,
and a process that closes or accepts that many starts one every few seconds (docs/drain.md). Young
objects are collected as always.
"""

from __future__ import annotations

import gc
import time

# At most this long: a host may make garbage that only a full collection finds.
MOST_SECONDS = 300.0
_NEVER = 1_000_000


class Collector:
    """Puts off the full collections of this process."""

    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None
        self._since: float | None = None

    def put_off(self) -> None:
        """No full collection from now on, for 5 minutes at most; call it on each beat.

        Only `resume` begins another period of 5 minutes.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            before = gc.get_threshold()
            if before[2] < _NEVER:
                self._before = before
                gc.set_threshold(before[0], before[1], _NEVER)
        elif now - self._since > MOST_SECONDS:
            self._restore()

    def resume(self) -> None:
        """Let full collections happen as before; idempotent."""
        self._restore()
        self._since = None

    def _restore(self) -> None:
        before, self._before = self._before, None
        if before is not None and gc.get_threshold()[2] == _NEVER:
            gc.set_threshold(*before)
