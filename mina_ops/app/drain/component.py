"""The component that gives drain orders to the colour, and lets this process obey them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import Any

from flask import has_request_context, request

from mina_ops.app.admin.auth import Author
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.drain.collector import Collector
from mina_ops.app.drain.coordinator import Coordinator, Goal
from mina_ops.app.drain.holds import Flush, Hold, Holds
from mina_ops.app.drain.leaving import Leaving
from mina_ops.app.drain.model import KEEP_SECONDS, Order
from mina_ops.app.drain.orders import Orders
from mina_ops.app.drain.refusal import refusal_status
from mina_ops.app.drain.status import colour_status
from mina_ops.app.sessions.admissions import Refusal
from mina_ops.app.sessions.component import Connections
from mina_ops.app.siblings import Siblings
from mina_ops.app.state import keys
from mina_ops.app.state.base import Subscription
from mina_ops.app.state.drain_state import COMPONENT, DrainState, State
from mina_ops.app.streams.kept import Kept
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.in_flight import InFlight
from mina_ops.errors import StateUnavailable

# After a drain's deadline, the last sessions may take this long to arrive at the other colour.
_ARRIVAL_SECONDS = 5.0


class Drain(Component):
    """Hands every live session of a colour over to the other, when it is ordered to.

    Args:
        connections: have the sessions that are handed over.
        drain_state: written here, read by the other features.
        kept: tells the other colour which streams are still handled here.
        siblings: the other workers on this port; they must not all leave at a time.
    """

    name = COMPONENT

    def __init__(
        self,
        context: Context,
        connections: Connections,
        drain_state: DrainState,
        kept: Kept,
        siblings: Siblings,
    ) -> None:
        self._context = context
        self._identity = context.identity
        self._settings = context.settings
        self._presence = context.presence
        self._heartbeat = context.heartbeat
        self._connections = connections
        self._drain_state = drain_state
        self._orders = Orders(context.store, self._identity, context.audit)
        self.order: Order | None = None
        """The order that our colour is under; None: it serves."""
        self._seen: dict[str, Order | None] = {}
        self._deadlines: dict[Order, float] = {}
        self._refreshed_at = 0.0
        self._changed_at = 0.0
        # Held for a few lines that never wait.
        self._ordering = Lock()
        self._presence.watch(keys=self._orders.keys)
        self._holds = Holds(kept)
        self._collector = Collector()
        self._hints: Subscription | None = None
        self._leaving = Leaving(context.settings, siblings, is_idle=self._is_idle, end=self._end)
        self.requests = InFlight()
        """Requests of the host that this process serves now."""
        self._coordinator = Coordinator(
            context, connections, self._holds, drain_state, self.requests
        )

    @property
    def state(self) -> State:
        """State of this process."""
        return self._drain_state.process

    @property
    def orders_of_others(self) -> list[Order]:
        """The orders that other colours are under, as of the last beat."""
        return [o for o in self._seen.values() if o is not None and not o.cancelled]

    def hold(self, kind: str, name: object, *, flush: Flush | None = None) -> Hold:
        """Work that must end before its session is closed: `with ops.hold("audio", id): ...`.

        Made in a Socket.IO handler it belongs to the handler's session; elsewhere, to the
        process. When a drain's deadline comes first, `flush()` is called once, in an app context
        and beside other work; then the session is closed.

        Args:
            kind, name: what the report calls it, as `audio:17`.
            flush: saves what there is; without it, or if it fails, the hold is reported as not
                flushed.
        """
        return self._holds.take(kind, str(name), flush, self._own_session())

    def begin(
        self, author: Author, *, grace_seconds: float | None = None, force: bool = False
    ) -> bool:
        """Order the colour to drain; idempotent. True if the order is new.

        A second order may only bring the deadline of the first one forward.

        Raises:
            Conflict: another colour drains, and this is not forced.
            StateUnavailable: the shared store is away.
        """
        grace = self._settings.drain_grace_seconds if grace_seconds is None else grace_seconds
        now, version = self._now(), self._identity.version
        order, new = self._orders.begin(author, now, float(grace), version=version, force=force)
        self._take(order, now)
        return new

    def cancel(self, author: Author) -> bool:
        """Take the order back, so that the colour serves again; idempotent.

        Raises:
            StateUnavailable: the shared store is away.
        """
        now = self._now()
        before = self._orders.cancel(author, now, self.order)
        self._take(self._orders.read(), now)
        return before is not None

    def status(self) -> dict[str, Any]:
        """How far the drain of the colour is, over all its processes; see docs/drain.md."""
        order, now = self.order, self._now()
        peers = self._presence.peers(component=COMPONENT)
        return colour_status(
            self._identity.environment, order, peers.reports, now=now, stale=peers.stale
        )

    def at_start(self) -> None:
        hint = keys.drain_hint(self._identity.environment)
        if self._context.store.shared:
            self._hints = self._context.store.listen([hint], self._heartbeat.poke)
        self._leaving.at_start()

    def close(self) -> None:
        """Let go of hints, of the garbage collector and of SIGTERM."""
        if self._hints is not None:
            self._hints.close()
        self._collector.resume()
        self._leaving.close()

    def beat(self, now: float) -> None:
        self._leaving.beat(now, drained=self.state is State.DRAINED)
        self._drain_state.is_replaced = self._leaving.is_replaced
        try:
            self._follow_store(now)
        finally:
            # Without the store the last order known goes on to its end.
            self._pursue(now)

    def report(self) -> Any:
        return self._coordinator.report()

    def merge(self, reports: Sequence[Any]) -> Any:
        # A process of another version of ours may say less.
        return {"remaining": sum(int(report.get("remaining") or 0) for report in reports)}

    def _follow_store(self, now: float) -> None:
        changed_at = self._changed_at
        orders = self._orders.read_all(self._presence.values(asked_after=changed_at))
        ours, found = self.order, orders.pop(self._identity.environment)
        self._seen = orders
        for colour, seen in orders.items():
            self._drain_state.ordered(colour, _id_of(seen))
        if found is None and ours is not None:
            # A cancelled order would still be in the store, so the store lost ours: write it again.
            self._orders.keep(ours, now)
            return
        if found is not None and self._is_of_the_last_release(found, now):
            self.cancel(Author("mina_ops: a new release started"))
            return
        with self._ordering:
            if self._changed_at != changed_at:
                # A request changed the order after it was read. Example: it was read, then a
                # request cancelled it; to obey what was read would drain a colour that serves.
                return
            self._set_order(found)
        if found is not None and time.monotonic() - self._refreshed_at > KEEP_SECONDS / 10:
            self._refreshed_at = time.monotonic()
            self._orders.refresh(found, now)

    def _is_of_the_last_release(self, order: Order, now: float) -> bool:
        """Whether an order is over, and all processes of the colour run a newer release."""
        summary = self._presence.summary()
        if summary.age_seconds is None or not order.is_outlived(now, self._identity.version):
            return False
        return order.version not in summary.parts["version"]

    def _take(self, order: Order | None, now: float) -> None:
        with self._ordering:
            self._changed_at = time.monotonic()
            self._set_order(order)
        self._pursue(now)

    def _put_off_collections(self, now: float) -> None:
        is_leaving = self._leaving.goal is not None or self.state is State.DRAINING
        if is_leaving or self._sessions_move(now):
            self._collector.put_off()
        else:
            self._collector.resume()

    def _pursue(self, now: float) -> None:
        order, leaving = self.order, self._leaving.goal
        # Before the first session is told, since telling makes enough objects for a collection.
        self._put_off_collections(now)
        if order is None:
            self._deadlines.clear()
            self._coordinator.pursue(leaving)
            return
        if order not in self._deadlines:
            self._deadlines = {order: time.monotonic() + order.seconds_left(now)}
        goal = Goal(order.order_id, self._deadlines[order], order.deadline)
        if leaving is not None and leaving.deadline < goal.deadline:
            goal = replace(leaving, order_id=order.order_id)
        self._coordinator.pursue(goal)

    def _is_idle(self) -> bool:
        """Whether there is nothing to drain here; takes no lock, for a signal handler calls it."""
        sessions = self._connections.sessions
        busy = sessions is not None and (sessions.any_live() or sessions.in_flight())
        return not self._heartbeat.running or not (busy or self._holds.active())

    def _end(self) -> None:
        self._collector.resume()
        self._heartbeat.stop()
        with suppress(StateUnavailable):
            self._presence.leave()

    def _sessions_move(self, now: float) -> bool:
        """Whether sessions leave this colour, or those of another are on their way to it."""
        orders = [order for order in (self.order, *self._seen.values()) if order is not None]
        return any(not o.cancelled and now < o.deadline + _ARRIVAL_SECONDS for o in orders)

    def _set_order(self, order: Order | None) -> None:
        self.order = None if order is None or order.cancelled else order
        self._drain_state.ordered(self._identity.environment, _id_of(order))

    def _now(self) -> float:
        return self._context.clock.now()

    def admit(self, environ: Mapping[str, Any]) -> Refusal | None:
        """Refuse new sessions while this process drains; an `Admission`."""
        if self.state is State.SERVING:
            return None
        body = {"status": str(self.state), "environment": self._identity.environment}
        ordered = self.order is not None
        status = refusal_status(environ) if ordered else 503
        return "draining" if ordered else "leaving", Answer(status, body, {"Retry-After": "1"})

    def _own_session(self) -> str | None:
        sessions = self._connections.sessions
        own = getattr(request, "sid", None) if has_request_context() else None
        if own is None or sessions is None:
            return None
        return sessions.held_by(request.namespace, own)  # type: ignore[attr-defined]


def _id_of(order: Order | None) -> str | None:
    return None if order is None or order.cancelled else order.order_id
