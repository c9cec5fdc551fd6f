"""Whether a process, and a colour, serves or drains: written by the drain, read by many.

It is built before the features, so that readiness and the connections need not know the drain.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from mina_ops.app.state.presence import Presence

COMPONENT = "drain"
"""The name under which each process reports how far its drain is."""


class State(StrEnum):
    """What a process or a colour does with conversations."""

    SERVING = "serving"
    """New ones come in."""
    DRAINING = "draining"
    """No new ones; live ones are handed off."""
    DRAINED = "drained"
    """No live session, no handler in flight, no hold."""


class DrainState:
    """The drain as the other features see it.

    Attributes:
        process: what this process does.
    """

    def __init__(self, presence: Presence) -> None:
        self.process = State.SERVING
        self._presence = presence
        self._orders: dict[str, str | None] = {}

    def ordered(self, colour: str, order_id: str | None) -> None:
        """A colour is under this drain order now; None: under none."""
        self._orders[colour] = order_id

    def of(self, colour: str) -> State:
        """What a colour does, as its processes reported last; from memory."""
        reports = self._presence.reports(COMPONENT, colour)
        return colour_state(self._orders.get(colour), reports.values())


def colour_state(order_id: str | None, reports: Iterable[Any]) -> State:
    """State of a colour from its order and what each of its processes says of itself.

    A process that has not heard of the order yet, or obeys an earlier one, still drains.
    """
    if order_id is None:
        return State.SERVING
    done = [
        isinstance(report, dict)
        and report.get("order_id") == order_id
        and report.get("state") == State.DRAINED
        for report in reports
    ]
    return State.DRAINED if all(done) else State.DRAINING
