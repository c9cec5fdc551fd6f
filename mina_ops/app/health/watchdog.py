"""Notices when the threads, or the green loop, that serve this process's requests are stuck."""

from __future__ import annotations

import logging
import threading
import time

STUCK_SECONDS = 20.0
_PAUSE_SECONDS = 1.0
_CATCH_UP_SECONDS = 0.05


class Watchdog:
    """A thread that is scheduled as requests are, green where they are, and logs as they do.

    It takes and gives back the lock of each log handler: when one of these locks is never given
    back, every request that logs hangs for ever, while probes, which do not log, still answer.

    Args:
        logger: name of the host's logger; its handlers and those above it are tried.
    """

    def __init__(self, logger: str) -> None:
        self._logger = logger
        self._beat_at: float | None = None
        self._run_number = 0

    def start(self) -> None:
        """Start over in this process."""
        self._run_number += 1
        self._beat_at = time.monotonic()
        threading.Thread(
            target=self._run, args=(self._run_number,), name="mina_ops-watchdog", daemon=True
        ).start()

    def stop(self) -> None:
        """End within a second; idempotent."""
        self._run_number += 1
        self._beat_at = None

    def is_stuck(self) -> bool:
        """Whether it has not moved for `STUCK_SECONDS`; may wait for 50 ms to be sure."""
        if self._seconds_behind() < STUCK_SECONDS:
            return False
        # A process that was stopped as a whole, and just goes on, has not had its turn yet.
        time.sleep(_CATCH_UP_SECONDS)
        return self._seconds_behind() >= STUCK_SECONDS

    def _seconds_behind(self) -> float:
        return 0.0 if self._beat_at is None else time.monotonic() - self._beat_at

    def _run(self, number: int) -> None:
        while number == self._run_number:
            for handler in _handlers(self._logger):
                handler.acquire()
                handler.release()
            if number == self._run_number:
                self._beat_at = time.monotonic()
            time.sleep(_PAUSE_SECONDS)


def _handlers(name: str) -> list[logging.Handler]:
    found: list[logging.Handler] = []
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        found += logger.handlers
        logger = logger.parent if logger.propagate else None
    return found
