"""Taking, renewing and freeing leases in the shared store; each step is atomic.

A lease that is not renewed expires by the store's own clock, so nobody waits for a holder that
died. Renewing and freeing compare the whole stored value first. Example: A is paused for longer
than its lease lasts, and B takes it; A's late renewal then finds B's value and changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import replace

from mina_ops.app.leases.model import Lease
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import Conflict

# How often to read again, when somebody changed the lease between our read and our write.
_TRIES = 5


class LeaseStore:
    """The leases of one product. Every method may raise StateUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, wanted: Lease) -> tuple[Lease, bool]:
        """Take a lease if it is free. Returns who holds it now, and whether it was free.

        Idempotent: the holder's own `id` renews it. If somebody else holds it, nothing changes.
        """
        key, value = keys.lease(wanted.name), wanted.to_bytes()
        for _ in range(_TRIES):
            if self._store.put_new(key, value, ttl_seconds=wanted.ttl_seconds):
                return wanted, True
            held = self.holder(wanted.name)
            if held is not None and held.id != wanted.id:
                return held, False
            renewed = self.renew(wanted.name, wanted.id, wanted.ttl_seconds)
            if renewed is not None:
                return renewed, False
        raise _unsteady(wanted.name)

    def renew(self, name: str, lease_id: str, ttl_seconds: float) -> Lease | None:
        """Hold a lease for `ttl_seconds` from now; None if `lease_id` does not hold it."""
        for _ in range(_TRIES):
            raw = self._store.get(keys.lease(name))
            held = _parsed(raw)
            if raw is None or held is None or held.id != lease_id:
                return None
            new = replace(held, ttl_seconds=ttl_seconds)
            if self._store.replace(keys.lease(name), raw, new.to_bytes(), ttl_seconds=ttl_seconds):
                return new
        raise _unsteady(name)

    def free(self, name: str, lease_id: str) -> Lease | None:
        """Free a lease and return what it was; None if `lease_id` did not hold it."""
        for _ in range(_TRIES):
            raw = self._store.get(keys.lease(name))
            held = _parsed(raw)
            if raw is None or held is None or held.id != lease_id:
                return None
            if self._store.replace(keys.lease(name), raw, None):
                return held
        raise _unsteady(name)

    def holder(self, name: str) -> Lease | None:
        """Who holds it; None: nobody."""
        return _parsed(self._store.get(keys.lease(name)))


def _parsed(raw: bytes | None) -> Lease | None:
    return None if raw is None else Lease(**json.loads(raw))


def _unsteady(name: str) -> Conflict:
    return Conflict(f"The lease {name} changed hands while it was asked for; try again.")
