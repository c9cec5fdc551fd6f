"""Refuses new sessions before the worker is full, so that probes and admins still get in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mina_ops.app.sessions.admissions import Refusal
from mina_ops.app.settings import Settings
from mina_ops.app.web.answers import Answer
from mina_ops.app.worker import connection_limit


class Capacity:
    """An admission that refuses sessions beyond the number that this process can hold.

    Args:
        taken: returns how many places sessions take now.
        async_mode: that of the Socket.IO server.
    """

    def __init__(self, settings: Settings, taken: Callable[[], int], async_mode: str) -> None:
        self._settings = settings
        self._taken = taken
        self._async_mode = async_mode
        self._most: float | None = None

    @property
    def most(self) -> float:
        """Sessions that are let in; infinite where the server has no limit that we can read."""
        if self._most is None:
            # Not in the constructor: the worker that serves is known only after the fork.
            self._most = most_sessions(
                self._settings.max_connections,
                connection_limit(self._async_mode),
                self._settings.connection_reserve,
            )
        return self._most

    def admit(self, _environ: Mapping[str, Any]) -> Refusal | None:
        """None, or (reason, answer) when this process is full."""
        if self._taken() < self.most:
            return None
        return "full", Answer(503, {"error": "This process is full."}, {"Retry-After": "2"})


def most_sessions(chosen: int | None, limit: int | None, reserve: int) -> float:
    """The chosen number, else the server's limit less the reserve (at most half the limit)."""
    if chosen is not None:
        return float(chosen)
    if limit is None:
        return float("inf")
    return float(limit - min(reserve, limit // 2))
