"""The two clocks of a process: one for what is shared, one for what is its own."""

from __future__ import annotations

import time


class Clock:
    """Tells the time.

    Whatever another process reads (a deadline, the age of a report) is written in `now`, and
    whatever stays in this process (a pause, a time limit) is measured with `monotonic`, which
    never steps back.
    """

    def now(self) -> float:
        """Seconds since the epoch, as all processes of the site count them."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment of this process's own."""
        return time.monotonic()
