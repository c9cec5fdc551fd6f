"""Drain orders, and the plan by which sessions are asked to leave. Pure: no I/O, no clock.

A process and its colour go through these states (see `mina_ops.app.state.drain_state`):

serving --order--> draining --nobody left--> drained
   ^                  |                         |
   +-----cancel-------+-------------------------+
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

# An order expires when no process of its colour has refreshed it for this long.
KEEP_SECONDS = 3600.0


@dataclass(frozen=True)
class Order:
    """An order to drain a colour, or (`cancelled`) the record that it was taken back.

    Times are seconds since the epoch by the store's clock. A cancelled order stays in the store: if
    there is none at all, the store has lost it, and processes that obey it write it again.
    """

    order_id: str
    environment: str
    started_at: float
    deadline: float
    grace_seconds: float
    version: str = "unknown"
    """Release that the colour ran when it was given; it is not meant for a later one."""
    force: bool = False
    """Whether it was given although another colour drained."""
    cancelled: bool = False

    def tightened(self, now: float, grace_seconds: float) -> Order:
        """The same order with a deadline `grace_seconds` from now, if that is earlier."""
        if now + grace_seconds >= self.deadline:
            return self
        return replace(self, deadline=now + grace_seconds, grace_seconds=grace_seconds)

    def seconds_left(self, now: float) -> float:
        """Seconds to the deadline; never more than the grace, whatever the two clocks say."""
        return min(max(0.0, self.deadline - now), self.grace_seconds)

    def is_outlived(self, now: float, version: str) -> bool:
        """Whether its deadline has passed and it was given to another release than this one."""
        return not self.cancelled and now > self.deadline and version != self.version

    def keep_seconds(self, now: float) -> float:
        """Seconds until the store may forget it."""
        return max(0.0, self.deadline - now) + KEEP_SECONDS

    def to_bytes(self) -> bytes:
        """The order as the store keeps it."""
        return json.dumps(asdict(self), sort_keys=True).encode()


def order_from(raw: bytes | None) -> Order | None:
    """The order that `to_bytes` wrote; None for None."""
    return None if raw is None else Order(**json.loads(raw))


def running_orders(held: Mapping[str, bytes], keys: Mapping[str, str]) -> dict[str, Order]:
    """Colour -> its order, if it has one that is not cancelled.

    Args:
        held: what the store holds, by key.
        keys: colour -> key of its order.
    """
    orders = {colour: order_from(held.get(key)) for colour, key in keys.items()}
    return {colour: o for colour, o in orders.items() if o is not None and not o.cancelled}


def in_short(order: Order | None) -> dict[str, Any] | None:
    """An order as the audit log shows it."""
    return None if order is None else {"order_id": order.order_id, "deadline": iso(order.deadline)}


def in_full(order: Order | None, now: float) -> dict[str, Any]:
    """An order as `GET /admin/drain` shows it; every value is None without one."""
    if order is None:
        return dict.fromkeys(_SHOWN)
    return {
        "order_id": order.order_id,
        "started_at": iso(order.started_at),
        "deadline": iso(order.deadline),
        "grace_seconds": order.grace_seconds,
        "remaining_seconds": round(order.seconds_left(now), 3),
    }


_SHOWN = ("order_id", "started_at", "deadline", "grace_seconds", "remaining_seconds")


def iso(moment: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Plan:
    """Spreads departures evenly from `start` to `end`, on the monotonic clock.

    It divides those who are left by the time that is left. So a delay is made up for over the whole
    rest, never in one burst.
    """

    start: float
    end: float

    def due(self, waiting: int, since: float, now: float) -> float:
        """How many of the `waiting` sessions shall leave for the time from `since` to `now`."""
        if now >= self.end:
            return float(waiting)
        return waiting * max(0.0, now - since) / (self.end - since)


def plan(now: float, seconds_left: float, tail: float) -> Plan:
    """A plan that ends `tail` seconds (at most a quarter of the time) before the deadline.

    So the last session that is asked has time to leave.
    """
    return Plan(now, now + seconds_left - min(tail, seconds_left / 4))
