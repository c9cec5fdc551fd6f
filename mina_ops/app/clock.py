"""The two clocks of a process: one for what is shared, one for what is its own."""

from __future__ import annotations

import time


class Clock:
    """Tells the time by the store's clock, as soon as that was asked; by the wall clock before.

    Between two questions it goes on with the monotonic clock. So neither a wall clock that steps
    nor two hosts whose clocks differ by an hour change a figure, an order or a roster.

    Whatever another process reads (a deadline, the age of a report) is written in `now`, and
    whatever stays in this process (a pause, a time limit) is measured with `monotonic`, which
    never steps back.
    """

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def follow(self, shared: float) -> None:
        """Take over what the shared clock says just now."""
        self._ahead = shared - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch, as all processes of the site count them."""
        return time.monotonic() + self._ahead

    def monotonic(self) -> float:
        """Seconds since some moment of this process's own."""
        return time.monotonic()
