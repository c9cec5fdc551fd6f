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

LEAVING = "leaving"
"""Stands in the place of an order's id where a process drains because it is about to end."""


class State(StrEnum):
    """What a process or a colour does with Socket.IO sessions."""

    SERVING = "serving"
    """New sessions come in."""
    DRAINING = "draining"
    """No new sessions; live ones are handed over to the other colour."""
    DRAINED = "drained"
    """No live session, no handler in flight, no hold."""


class DrainState:
    """The drain as the other features see it.

    Attributes:
        process: what this process does.
        is_replaced: whether it drains only because its server will put another process in its
            place, as gunicorn does after `max_requests`. Its port then goes on being served.
    """

    def __init__(self, presence: Presence) -> None:
        self.process = State.SERVING
        self.is_replaced = False
        self._presence = presence
        self._orders: dict[str, str | None] = {}

    def ordered(self, colour: str, order_id: str | None) -> None:
        """Note the drain order that a colour is under; None: it is under none."""
        self._orders[colour] = order_id

    def is_ordered(self, colour: str) -> bool:
        """Whether a colour is under a drain order."""
        return self._orders.get(colour) is not None

    def of(self, colour: str) -> State:
        """What a colour does, as its processes reported last; from memory."""
        reports = self._presence.reports(COMPONENT, colour)
        return colour_state(self._orders.get(colour), reports.values())


def colour_state(order_id: str | None, reports: Iterable[Any]) -> State:
    """State of a colour from its order and what each of its processes says of itself.

    A process that has not heard of the order yet, or obeys an earlier one, still drains. Without
    an order a colour serves as long as one of its processes is not about to end.
    """
    if order_id is None:
        known = [report for report in reports if isinstance(report, dict) and report]
        if not known or any(report.get("order_id") != LEAVING for report in known):
            return State.SERVING
        over = all(report.get("state") == State.DRAINED for report in known)
        return State.DRAINED if over else State.DRAINING
    done = [
        isinstance(report, dict)
        and report.get("order_id") == order_id
        and report.get("state") == State.DRAINED
        for report in reports
    ]
    return State.DRAINED if all(done) else State.DRAINING
