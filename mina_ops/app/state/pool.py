"""Pools that open few connections: who needs one waits a moment for one that is about to be free.

redis-py opens a connection whenever none is idle, and keeps it. When a process starts, its
heartbeat, its checks and its listener ask Redis within the same millisecond: four connections for
commands that take a tenth of a millisecond each, and 1,200 connections of 300 processes.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from redis import ConnectionPool
from redis.sentinel import SentinelConnectionPool

from mina_ops.app.native import green_library

PATIENCE_SECONDS = 0.02
"""How long who needs a connection waits for one; twice that while another one is being opened."""
_SOON_SECONDS = 0.25
"""What is lent for longer than this, as a listener's connection, does not come back soon."""


class _Lent:
    """What a pool has lent in this process."""

    def __init__(self) -> None:
        self.here = (os.getpid(), green_library())
        self.changed = threading.Condition()
        self._known: set[int] = set()
        self._since: dict[int, float] = {}
        self._opening = 0

    def wait(self) -> None:
        """Return once a connection is idle, or when it is time to open another one."""
        with self.changed:
            until, is_last = time.monotonic() + PATIENCE_SECONDS, False
            while not self._has_idle() and self._is_one_expected():
                left = until - time.monotonic()
                if left > 0:
                    self.changed.wait(left)
                elif self._opening and not is_last:
                    until, is_last = until + PATIENCE_SECONDS, True
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
            self.changed.notify()

    def take_back(self, connection: object) -> None:
        """A connection was given back."""
        with self.changed:
            self._since.pop(id(connection), None)
            self.changed.notify()

    def _has_idle(self) -> bool:
        return len(self._known) > len(self._since) + self._opening

    def _is_one_expected(self) -> bool:
        soon = time.monotonic() - _SOON_SECONDS
        return bool(self._opening) or any(since > soon for since in self._since.values())


class _Patient:
    """Mixed into a pool of redis-py."""

    _lent: _Lent | None = None

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """As the base does, after a wait of up to 40 ms for one that is about to be idle."""
        lent, connection = self._of_this_process(), None
        lent.wait()
        try:
            connection = super().get_connection(*args, **options)  # type: ignore[misc]
        finally:
            lent.lend(connection)
        return connection

    def release(self, connection: Any) -> None:
        """As the base does."""
        super().release(connection)  # type: ignore[misc]
        self._of_this_process().take_back(connection)

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
