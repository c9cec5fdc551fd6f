"""What processes know that the store has lost, kept there for those that know nothing.

Example: Redis is emptied, then a host is added to the fleet, with an empty cache folder. It finds
no flag. Were that the truth to it, it would turn all of them off, and a kill through it would leave
a flag without its percentage, owner and lists. The processes that know better have left a copy in
the store by then; it takes that, and shows the same alert as they do.
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
