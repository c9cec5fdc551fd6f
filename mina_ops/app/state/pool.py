"""Pools that open few connections: who needs one waits a moment for one that is about to be free.

redis-py opens a connection whenever none is idle, and keeps it. When a process starts, its
heartbeat, its checks and its listener ask Redis within the same millisecond: four connections for
commands that take a tenth of a millisecond each, and 1,200 connections of 300 processes. Later
nobody waits for long: under load, a chunk that waited for the heartbeat's connection would keep all
chunks of its batch waiting.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import Any

from redis import ConnectionPool, RedisError
from redis.sentinel import SentinelConnectionPool

from mina_ops.app.native import green_library

START_SECONDS = 10.0
"""For how long after its first connection a process counts as one that starts."""
PATIENCE_SECONDS, PATIENCE_LATER_SECONDS = 0.05, 0.002
"""How long who needs a connection waits for one while the process starts, and later; twice that
while another one is being opened."""
_SOON_SECONDS = 0.25
"""What is lent for longer than this, as a listener's connection, does not come back soon."""
_SPARE_SECONDS = 30.0
"""Not all were lent at the same moment for so long: then those that are idle are closed."""


class _Lent:
    """What a pool has lent in this process."""

    def __init__(self) -> None:
        self.here = (os.getpid(), green_library())
        self.changed = threading.Condition()
        self._known: set[int] = set()
        self._since: dict[int, float] = {}
        self._opening = 0
        self._began_at = self._all_lent_at = time.monotonic()

    def wait(self) -> None:
        """Return once a connection is idle, or when it is time to open another one."""
        with self.changed:
            now, is_last = time.monotonic(), False
            starts = now < self._began_at + START_SECONDS
            patience = PATIENCE_SECONDS if starts else PATIENCE_LATER_SECONDS
            until = now + patience
            while not self._has_idle() and self._is_one_expected():
                left = until - time.monotonic()
                if left > 0:
                    self.changed.wait(left)
                elif self._opening and not is_last:
                    until, is_last = until + patience, True
                else:
                    break
            self._opening += 1

    def lend(self, connection: object | None) -> None:
        """A connection was got; None: that failed."""
        with self.changed:
            self._opening -= 1
            if connection is not None:
                self._known.add(id(connection))
                self._since[id(connection)] = time.monotonic()
                if not self._has_idle():
                    self._all_lent_at = time.monotonic()
            self.changed.notify()

    def take_back(self, connection: object) -> None:
        """A connection was given back."""
        with self.changed:
            self._since.pop(id(connection), None)
            self.changed.notify()

    def spare(self) -> int:
        """How many idle ones are to be closed; above 0 at most every 30 s."""
        with self.changed:
            now, idle = time.monotonic(), len(self._known) - len(self._since) - self._opening
            if idle <= 0 or now - self._all_lent_at < _SPARE_SECONDS:
                return 0
            self._all_lent_at = now
            return idle

    def forget(self, connection: object) -> None:
        """A connection was closed; the pool may open it again."""
        with self.changed:
            self._known.discard(id(connection))

    def _has_idle(self) -> bool:
        return len(self._known) > len(self._since) + self._opening

    def _is_one_expected(self) -> bool:
        soon = time.monotonic() - _SOON_SECONDS
        return bool(self._opening) or any(since > soon for since in self._since.values())


class _Patient:
    """Mixed into a pool of redis-py."""

    _lent: _Lent | None = None

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """As the base does; while a process starts, up to 0.1 s later, if one is idle soon."""
        lent, connection = self._of_this_process(), None
        lent.wait()
        try:
            connection = super().get_connection(*args, **options)  # type: ignore[misc]
        finally:
            lent.lend(connection)
        return connection

    def release(self, connection: Any) -> None:
        """As the base does; now and then it closes those that nobody needs beside this one."""
        lent = self._of_this_process()
        if spare := lent.spare():
            self._close_idle(lent, spare)
        super().release(connection)  # type: ignore[misc]
        lent.take_back(connection)

    def _close_idle(self, lent: _Lent, number: int) -> None:
        """Close so many idle ones; the pool may open them again."""
        taken: list[Any] = []
        with suppress(RedisError, OSError):
            for _ in range(number):
                taken.append(super().get_connection())  # type: ignore[misc]  # noqa: PERF401
        for connection in taken:
            connection.disconnect()
            lent.forget(connection)
            super().release(connection)  # type: ignore[misc]

    def _of_this_process(self) -> _Lent:
        # Anew in each process, and when a library made threads green since: a lock that is not
        # green would stop the loop.
        lent = self._lent
        if lent is None or lent.here != (os.getpid(), green_library()):
            lent = self._lent = _Lent()
        return lent


class PatientPool(_Patient, ConnectionPool):
    """Of one server."""


class PatientSentinelPool(_Patient, SentinelConnectionPool):
    """Of the master that sentinels name."""
