"""How often a password may be tried: few times a minute from one address, and from all together.

Counted in the memory of each process. Whoever comes in is not counted, so an admin who works all
day is never slowed; whoever guesses is, and so is everybody behind the same address.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from mina_ops.errors import TooManyRequests

MINUTE = 60.0
MOST_FROM_ONE = 10
MOST_FROM_ALL = 60


class Attempts:
    """Failed tries of the last minute; safe for any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: deque[tuple[float, str]] = deque()

    def begin(self, address: str) -> Callable[[], None]:
        """Count a try as failed, before the password is looked at; call the result if it was right.

        Counted first, since fifty tries that come at once would else all pass before one failed.

        Raises:
            TooManyRequests: there were too many; says when the next one may come.
        """
        with self._lock:
            now = self._clock()
            while self._failed and self._failed[0][0] <= now - MINUTE:
                self._failed.popleft()
            own = [at for at, who in self._failed if who == address]
            if len(own) >= MOST_FROM_ONE:
                _refuse(own[0] + MINUTE - now)
            if len(self._failed) >= MOST_FROM_ALL:
                _refuse(self._failed[0][0] + MINUTE - now)
            entry = (now, address)
            self._failed.append(entry)
        return lambda: self._take_back(entry)

    def _take_back(self, entry: tuple[float, str]) -> None:
        with self._lock:
            if entry in self._failed:
                self._failed.remove(entry)


def _refuse(seconds: float) -> NoReturn:
    raise TooManyRequests(
        "Too many failed logins in the last minute; wait, or use a bearer token.",
        retry_after_seconds=max(1, math.ceil(seconds)),
    )
