"""Tells listeners in this process when flags change, become stale, or are fresh again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.snapshot import Snapshot

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FlagEvent:
    """`kind` is `changed` (these keys), `stale` (for this reason) or `fresh`."""

    kind: str
    changed: frozenset[str] = frozenset()
    reason: str | None = None


Listener = Callable[[FlagEvent], None]


class FlagEvents:
    """Calls listeners from the heartbeat, so that no request waits for them."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._listeners: list[Listener] = []
        self._told: Snapshot = cache.snapshot
        self._stale = False

    def add(self, listener: Listener) -> None:
        """Tell it of all that happens from now on, and at once if the flags are stale."""
        self._listeners.append(listener)
        if self._cache.stale:
            _tell(listener, FlagEvent("stale", reason=self._cache.alert))

    def remove(self, listener: Listener) -> None:
        """Tell it no more; idempotent."""
        self._listeners = [other for other in self._listeners if other != listener]

    def beat(self) -> None:
        """Tell what happened since the last beat."""
        snapshot, stale = self._cache.snapshot, self._cache.stale
        if snapshot is not self._told:
            before, now = self._told.known.entries, snapshot.known.entries
            keys = (key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
            self._told = snapshot
            self._tell_all(FlagEvent("changed", changed=frozenset(keys)))
        if stale != self._stale:
            self._stale = stale
            self._tell_all(
                FlagEvent("stale", reason=self._cache.alert) if stale else FlagEvent("fresh")
            )

    def _tell_all(self, event: FlagEvent) -> None:
        for listener in list(self._listeners):
            _tell(listener, event)


def _tell(listener: Listener, event: FlagEvent) -> None:
    try:
        listener(event)
    except Exception:
        _log.exception("A listener of flags failed")
