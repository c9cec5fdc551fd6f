"""Orders, and the plan by which sessions are let go. Pure: no I/O, no clock.

A process, and its colour, goes through these states (see `mina_ops.app.state.drain_state`):

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

# An order fades when its colour has had no process for so long after its deadline.
KEEP_SECONDS = 3600.0


@dataclass(frozen=True)
class Order:
    """An order to drain a colour, or (`cancelled`) the word that it was taken back.

    Times are seconds since the epoch. A cancelled order stays where it was, so that an order that
    the store lost is told from one that was taken back.
    """

    order_id: str
    environment: str
    started_at: float
    deadline: float
    grace_seconds: float
    version: str = "unknown"
    """Release that the colour ran then; another one is not meant."""
    force: bool = False
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
        """Whether it is over and a process of this release was deployed since."""
        return not self.cancelled and now > self.deadline and version != self.version

    def keep_seconds(self, now: float) -> float:
        """How long the store shall keep it."""
        return max(0.0, self.deadline - now) + KEEP_SECONDS

    def to_bytes(self) -> bytes:
        """The order as it lies in the store."""
        return json.dumps(asdict(self), sort_keys=True).encode()


def order_from(raw: bytes | None) -> Order | None:
    """The order that `to_bytes` made; None for nothing."""
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
    """Lets sessions go evenly from `start` to `end`.

    It looks at who is left and how long: whatever held it up is made up for over the whole rest,
    never in one burst.
    """

    start: float
    end: float

    def due(self, waiting: int, since: float, now: float) -> float:
        """How many of those who wait shall be let go for the time from `since` to `now`."""
        if now >= self.end:
            return float(waiting)
        return waiting * max(0.0, now - since) / (self.end - since)


def plan(now: float, seconds_left: float, tail: float) -> Plan:
    """A plan that ends `tail` seconds before the deadline, so that the last one is gone by then.

    The tail takes at most a quarter of what is left.
    """
    return Plan(now, now + seconds_left - min(tail, seconds_left / 4))
