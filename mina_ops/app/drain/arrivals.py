"""Counts how many clients that a drain sent away have come to the other colour, and who has not.

A stock client does not say who it was before, so clients are recognised by address and user agent.
Example: blue closed three sessions of `10.0.0.7 Firefox`, and green has accepted two of the same
since the order: one has not arrived. A new visitor with the same address and user agent counts as
an arrival, too.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.drain.component import Drain
from mina_ops.app.sessions.component import Connections
from mina_ops.app.sessions.session import Session
from mina_ops.app.state import keys
from mina_ops.errors import StateUnavailable

KEEP_SECONDS = 3600.0
# A client may come before this process has read the order, so newcomers are kept for this long.
_HEARSAY_SECONDS = 5.0
# How long an answer of the store is used again: a controller and several consoles ask at a time.
_FRESH_SECONDS = 0.4
MOST_NAMES = 50
_AWAY, _HERE = "away ", "here "
UNKNOWN: Mapping[str, Any] = {"sent_away": None, "arrived": None, "not_arrived": []}
NOBODY: Mapping[str, Any] = {"sent_away": 0, "arrived": 0, "not_arrived": []}

_Tallies = dict[str, Counter[str]]


class Arrivals(Component):
    """Counts clients that this colour's drain closed, and those that come while another drains."""

    name = "drain.arrivals"

    def __init__(self, context: Context, connections: Connections, drain: Drain) -> None:
        self._context = context
        self._connections = connections
        self._drain = drain
        self._waiting: _Tallies = {}
        self._unsure: tuple[str, _Tallies] | None = None
        self._last: tuple[str, float, Mapping[str, Any]] | None = None

    def beat(self, now: float) -> None:
        """Add the counts to the store.

        Raises:
            StateUnavailable: the store is away; the counts are kept for the next beat.
        """
        sessions = self._connections.sessions
        if sessions is None:
            return
        order = self._drain.order
        while sessions.sent_away:
            session = sessions.sent_away.popleft()
            if order is not None:
                self._count(order.environment, order.order_id, _AWAY, session)
        self._take_in(now)
        self._save()

    def status(self) -> Mapping[str, Any]:
        """`sent_away`, `arrived` (counts), `not_arrived` (the 50 clients with most sessions).

        Reads the store, at most every 0.4 s. The counts are None without an order, and when the
        store does not answer.
        """
        order = self._drain.order
        if order is None:
            return UNKNOWN
        last = self._last
        if last and last[0] == order.order_id and time.monotonic() - last[1] < _FRESH_SECONDS:
            return last[2]
        try:
            key = keys.drain_clients(order.environment, order.order_id)
            found = summed(self._context.store.totals([key]))
        except StateUnavailable:
            return UNKNOWN
        self._last = order.order_id, time.monotonic(), found
        return found

    def _take_in(self, now: float) -> None:
        """Count newcomers that came since another colour was ordered to drain."""
        sessions, orders = self._connections.sessions, self._drain.orders_of_others
        if sessions is None:
            return
        moment = time.monotonic()
        for _ in range(len(sessions.newcomers)):
            session = sessions.newcomers.popleft()
            age = moment - session.since
            meant = [order for order in orders if now - age >= order.started_at]
            for order in meant:
                self._count(order.environment, order.order_id, _HERE, session)
            if not meant and age < _HEARSAY_SECONDS:
                sessions.newcomers.append(session)

    def _count(self, colour: str, order_id: str, what: str, session: Session) -> None:
        tally = self._waiting.setdefault(keys.drain_clients(colour, order_id), Counter())
        tally[f"{what}{session.client} {session.agent}"] += 1

    def _save(self) -> None:
        """Add what was counted to the store; exactly once, also when an answer was lost."""
        while self._unsure is not None or self._waiting:
            if self._unsure is None:
                self._unsure = uuid.uuid4().hex, dict([self._waiting.popitem()])
            once, tallies = self._unsure
            self._context.store.add(tallies, ttl_seconds=KEEP_SECONDS, once=once)
            self._unsure = None


def summed(tally: Mapping[str, float]) -> dict[str, Any]:
    """The body of `Arrivals.status` from the tally of one order. Pure."""
    away = {n.removeprefix(_AWAY): round(v) for n, v in tally.items() if n.startswith(_AWAY)}
    missing = {name: sent - round(tally.get(_HERE + name, 0)) for name, sent in away.items()}
    late = sorted(((n, name) for name, n in missing.items() if n > 0), reverse=True)
    named = [(n, *name.partition(" ")) for n, name in late[:MOST_NAMES]]
    return {
        "sent_away": sum(away.values()),
        "arrived": sum(away.values()) - sum(n for n, _ in late),
        "not_arrived": [{"address": a, "agent": b, "sessions": n} for n, a, _, b in named],
    }
