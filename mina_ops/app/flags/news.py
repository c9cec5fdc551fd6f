"""Telling others of this process what became of the flags."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.snapshot import Snapshot

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """`kind` is `changed` (these keys), `stale` (for this reason) or `fresh`."""

    kind: str
    changed: frozenset[str] = frozenset()
    reason: str | None = None


Watcher = Callable[[News], None]


class Newsroom:
    """Calls watchers from the heartbeat, so that no request waits for them."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._watchers: list[Watcher] = []
        self._told: Snapshot = cache.snapshot
        self._stale = False

    def add(self, watcher: Watcher) -> None:
        """Tell it of all that happens from now on, and at once if the flags are stale."""
        self._watchers.append(watcher)
        if self._cache.stale:
            _tell(watcher, News("stale", reason=self._cache.alert))

    def remove(self, watcher: Watcher) -> None:
        """Tell it no more; idempotent."""
        self._watchers = [other for other in self._watchers if other != watcher]

    def beat(self) -> None:
        """Tell what happened since the last beat."""
        snapshot, stale = self._cache.snapshot, self._cache.stale
        if snapshot is not self._told:
            before, now = self._told.known.entries, snapshot.known.entries
            keys = (key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
            self._told = snapshot
            self._tell_all(News("changed", changed=frozenset(keys)))
        if stale != self._stale:
            self._stale = stale
            self._tell_all(News("stale", reason=self._cache.alert) if stale else News("fresh"))

    def _tell_all(self, news: News) -> None:
        for watcher in list(self._watchers):
            _tell(watcher, news)


def _tell(watcher: Watcher, news: News) -> None:
    try:
        watcher(news)
    except Exception:
        _log.exception("A watcher of flags failed")
