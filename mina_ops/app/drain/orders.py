"""Drain orders in the shared store: begun, tightened, cancelled, kept alive."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from mina_ops.app.drain.model import Order, order_from
from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import Conflict

# An order fades when its colour has had no process for so long after its deadline.
KEEP_SECONDS = 3600.0
_TRIES = 10


class Orders:
    """The orders of all colours. Every call may raise `StateUnavailable`."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._environment = identity.environment
        self._key = keys.drain_order(identity.environment)
        self._others = [colour for colour in identity.colours if colour != self._environment]

    @property
    def keys(self) -> list[str]:
        """Where the orders of all colours are."""
        return [keys.drain_order(colour) for colour in (self._environment, *self._others)]

    def read_all(self, found: Mapping[str, bytes] | None) -> dict[str, Order | None]:
        """The last order of each colour, cancelled ones too.

        Args:
            found: `keys` that exist and their values; None: ask the store.
        """
        if found is None:
            found = self._store.get_all(self.keys)
        colours = (self._environment, *self._others)
        return {colour: order_from(found.get(keys.drain_order(colour))) for colour in colours}

    def read(self, environment: str | None = None) -> Order | None:
        """The last order of a colour (default: ours), a cancelled one too."""
        key = self._key if environment is None else keys.drain_order(environment)
        return order_from(self._store.get(key))

    def begin(
        self, now: float, grace_seconds: float, *, version: str, force: bool
    ) -> tuple[Order, bool]:
        """Order our colour to drain; atomic. Returns the order and whether it is new.

        An order that already runs is kept, with a deadline `grace_seconds` from now if that is
        earlier.

        Raises:
            Conflict: another colour drains, and this is not forced.
        """
        if not force:
            self._refuse_beside_another()
        for _ in range(_TRIES):
            raw = self._store.get(self._key)
            present = order_from(raw)
            if present is not None and not present.cancelled:
                order, new = present.tightened(now, grace_seconds), False
            else:
                order, new = self._new(now, grace_seconds, version, force), True
            if self._swap(raw, order, now):
                return order, new
        raise Conflict("Another order was written at the same moment; look at it, then retry.")

    def cancel(self, now: float) -> Order | None:
        """Take back the order of our colour; atomic, idempotent. Returns what was taken back."""
        for _ in range(_TRIES):
            raw = self._store.get(self._key)
            present = order_from(raw)
            if present is None or present.cancelled:
                return None
            if self._swap(raw, replace(present, cancelled=True), now):
                return present
        raise Conflict("Another order was written at the same moment; look at it, then retry.")

    def keep(self, order: Order, now: float) -> None:
        """Write an order that the store lost, unless there is another by now."""
        raw = order.to_bytes()
        self._store.put_new(self._key, raw, ttl_seconds=_ttl(order, now))

    def refresh(self, order: Order, now: float) -> None:
        """Put off the day on which an order that is obeyed fades."""
        raw = order.to_bytes()
        self._swap(raw, order, now)

    def announce(self) -> None:
        """Hint to all processes of our colour that the order changed."""
        self._store.publish(keys.drain_hint(self._environment), "changed")

    def _refuse_beside_another(self) -> None:
        for colour in self._others:
            order = self.read(colour)
            if order is not None and not order.cancelled:
                raise Conflict(
                    f"{colour} is draining or drained too, so nobody would take new sessions. "
                    f'Cancel its drain first, or send {{"force": true}}.'
                )

    def _new(self, now: float, grace_seconds: float, version: str, force: bool) -> Order:
        return Order(
            order_id=secrets.token_hex(8),
            environment=self._environment,
            started_at=now,
            deadline=now + grace_seconds,
            grace_seconds=grace_seconds,
            version=version,
            force=force,
        )

    def _swap(self, old: bytes | None, order: Order, now: float) -> bool:
        key, raw, ttl = self._key, order.to_bytes(), _ttl(order, now)
        if old is None:
            return self._store.put_new(key, raw, ttl_seconds=ttl)
        return self._store.replace(key, old, raw, ttl_seconds=ttl)


def _ttl(order: Order, now: float) -> float:
    return max(0.0, order.deadline - now) + KEEP_SECONDS
