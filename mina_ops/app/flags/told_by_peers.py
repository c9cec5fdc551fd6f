"""Lets a new process learn flags that the store has lost, from peers that still know them.

Example: Redis is emptied, then a machine is added, whose cache folder is empty. Its processes find
no flag in the store. If they believed that, they would answer "off" for all of them, and a kill
through them would write a flag without its percentage, owner and lists. So processes that know the
flags leave a copy in the store; the new ones take it, and show the same alert.
"""

from __future__ import annotations

import time

from mina_ops.app.flags.continuity import Known, is_lost
from mina_ops.app.flags.last_known import body_of, known_of
from mina_ops.app.state import keys
from mina_ops.app.state.base import Register, Store

_KEPT_SECONDS = 60.0
_PAUSE_SECONDS = 5.0


class ToldByPeers:
    """Leaves a copy of what is known while the store has lost it, and finds that of others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_at = -_PAUSE_SECONDS

    def tell(self, known: Known) -> None:
        """Leave what is known, at most once in 5 seconds for all processes; raises
        `StateUnavailable`."""
        now = time.monotonic()
        if now - self._looked_at < _PAUSE_SECONDS:
            return
        self._looked_at = now
        if not self._store.put_new(keys.FLAGS_KEPT_LEASE, b"1", ttl_seconds=_PAUSE_SECONDS):
            return
        held = self._held()
        is_later = held is not None and held.epoch == known.epoch and held.version > known.version
        best = held if held is not None and is_later else known
        self._store.put(keys.FLAGS_KEPT, body_of(best), ttl_seconds=_KEPT_SECONDS)

    def find(self, register: Register) -> Known | None:
        """What others know and this register lost; None: nothing. Raises `StateUnavailable`."""
        held = self._held()
        return held if held is not None and is_lost(held, register) else None

    def _held(self) -> Known | None:
        raw = self._store.get(keys.FLAGS_KEPT)
        try:
            return None if raw is None else known_of(raw)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # not written by us
