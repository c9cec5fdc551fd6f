"""`wait_until`: waits until something is true, but not longer than a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    look: Callable[[], T],
    seconds: float,
    *,
    pause: float = 0.01,
    enough: Callable[[T], object] = bool,
) -> T:
    """What `look()` returned last: something that is enough, or whatever there was at the end.

    Looks at least once, and a last time when the time is over. Blocks up to `seconds` and one look.

    Args:
        look: called again and again; what it raises ends the wait.
        pause: seconds between two looks.
        enough: whether what was seen ends the wait; default: that it is true.
    """
    deadline = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() >= deadline
        found = look()
        if is_last or enough(found):
            return found
        time.sleep(pause)
