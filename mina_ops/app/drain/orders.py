"""Drain orders in the shared store: begin, bring forward, cancel, refresh."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from mina_ops.app.admin.audit import Audit
from mina_ops.app.admin.auth import Author
from mina_ops.app.drain.model import Order, in_short, order_from, running_orders
from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import Conflict, StateUnavailable

_TRIES = 10
_TOO_MANY = "Another order was written at the same moment; look at it, then retry."


class Orders:
    """Reads the orders of all colours, writes that of our own; may raise `StateUnavailable`.

    Args:
        identity: names our own colour.
        audit: is told of each change.
    """

    def __init__(self, store: Store, identity: Identity, audit: Audit) -> None:
        self._store = store
        self._environment = identity.environment
        self._audit = audit
        self._keys = {colour: keys.drain_order(colour) for colour in identity.colours}
        self._key = self._keys[identity.environment]
        self._hint = keys.drain_hint(identity.environment)

    @property
    def keys(self) -> list[str]:
        """The store's keys of the orders of all colours."""
        return list(self._keys.values())

    def read_all(self, found: Mapping[str, bytes] | None) -> dict[str, Order | None]:
        """The last order of each colour, cancelled ones too.

        Args:
            found: `keys` that exist and their values; None: ask the store.
        """
        if found is None:
            found = self._store.get_all(list(self._keys.values()))
        return {colour: order_from(found.get(key)) for colour, key in self._keys.items()}

    def read(self) -> Order | None:
        """The last order of our colour, a cancelled one too."""
        return order_from(self._store.get(self._key))

    def begin(
        self, author: Author, now: float, grace_seconds: float, *, version: str, force: bool
    ) -> tuple[Order, bool]:
        """Order our colour to drain; atomic. Returns the order and whether it is new.

        An order that already runs is kept, with a deadline `grace_seconds` from now if that is
        earlier. All processes get a hint, and the audit log says who gave the order.

        Raises:
            Conflict: another colour drains, and this is not forced.
        """
        for _ in range(_TRIES):
            held = self._store.get_all(list(self._keys.values()))
            running = running_orders(held, self._keys)
            before = running.pop(self._environment, None)
            if not force:
                _refuse_beside(running)
            if before is None:
                order = self._new(now, grace_seconds, version, force)
            else:
                order = before.tightened(now, grace_seconds)
            if self._swap(held.get(self._key), order, now):
                if order != before:
                    action = "drain.tighten" if before else "drain.begin"
                    self._tell(author, action, before, order)
                return order, before is None
        raise Conflict(_TOO_MANY)

    def cancel(self, author: Author, now: float, known: Order | None = None) -> Order | None:
        """Take back the order of our colour; atomic, idempotent. Returns what was taken back.

        Args:
            known: the order that this process obeys. Where the store has lost it, it is written as
                cancelled: else another process that obeys it would write it back a moment later.
        """
        for _ in range(_TRIES):
            raw = self._store.get(self._key)
            present = order_from(raw) or known
            if present is None or present.cancelled:
                return None
            if self._swap(raw, replace(present, cancelled=True), now):
                self._tell(author, "drain.cancel", present, None)
                return present
        raise Conflict(_TOO_MANY)

    def keep(self, order: Order, now: float) -> None:
        """Write an order that the store lost, unless there is another by now."""
        raw = order.to_bytes()
        self._store.put_new(self._key, raw, ttl_seconds=order.keep_seconds(now))

    def refresh(self, order: Order, now: float) -> None:
        """Let an order that is still obeyed expire later."""
        raw = order.to_bytes()
        self._swap(raw, order, now)

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
        """Write an order in the place of what was read; False if somebody wrote in between."""
        key, raw, ttl = self._key, order.to_bytes(), order.keep_seconds(now)
        if old is None:
            return self._store.put_new(key, raw, ttl_seconds=ttl)
        return self._store.replace(key, old, raw, ttl_seconds=ttl)

    def _tell(self, author: Author, action: str, before: Order | None, after: Order | None) -> None:
        """Tell the audit log, then all processes of our colour.

        Neither fails: the order is written, and a process that misses the hint reads it within
        a beat.
        """
        self._audit.record(
            actor=author.actor,
            action=action,
            subject=self._environment,
            before=in_short(before),
            after=in_short(after),
            address=author.address,
            correlation_id=author.correlation_id,
        )
        with suppress(StateUnavailable):
            self._store.publish(self._hint, "changed")


def _refuse_beside(others: Mapping[str, Order]) -> None:
    """Refuse to drain while another colour is drained: nobody would take new sessions."""
    for colour in others:
        raise Conflict(
            f"{colour} is draining or drained too, so nobody would take new sessions. "
            f'Cancel its drain first, or send {{"force": true}}.'
        )
