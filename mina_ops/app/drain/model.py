"""Orders, and the plan by which sessions are let go. Pure: no I/O, no clock.

A process, and its colour, goes through these states (see `mina_ops.app.state.drain_state`):

serving --order--> draining --nobody left--> drained
   ^                  |                         |
   +-----cancel-------+-------------------------+
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace


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

    def to_bytes(self) -> bytes:
        """The order as it lies in the store."""
        return json.dumps(asdict(self), sort_keys=True).encode()


def order_from(raw: bytes | None) -> Order | None:
    """The order that `to_bytes` made; None for nothing."""
    return None if raw is None else Order(**json.loads(raw))


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
