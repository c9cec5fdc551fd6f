"""How far the drain of a colour is, put together from what its processes say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mina_ops.app.drain.model import Order
from mina_ops.app.state.drain_state import LEAVING, colour_state

# Names in a report are an aid; their number is exact.
MOST_NAMES = 50


def colour_status(
    environment: str,
    order: Order | None,
    reports: Mapping[str, Mapping[str, Any]],
    *,
    now: float,
    stale: bool,
) -> dict[str, Any]:
    """The body of `GET /admin/drain`.

    Args:
        order: the one that runs, if any.
        reports: process -> its report.
        now: seconds since the epoch.
        stale: whether the reports are older than a process may be silent.
    """
    order_id = None if order is None else order.order_id
    processes = [{"process": name, **report} for name, report in reports.items()]
    left = None if order is None else round(order.seconds_left(now), 3)
    return {
        "state": str(colour_state(order_id, reports.values())),
        "environment": environment,
        "order_id": order_id,
        "started_at": None if order is None else iso(order.started_at),
        "deadline": None if order is None else iso(order.deadline),
        "grace_seconds": None if order is None else order.grace_seconds,
        "remaining_seconds": left,
        "remaining": _sum(processes, "remaining"),
        "active_connections": _sum(processes, "remaining"),
        "initial": _sum(processes, "initial"),
        "in_flight": _sum(processes, "in_flight"),
        "requests": _sum(processes, "requests"),
        "forced": _sum(processes, "forced"),
        "forced_sessions": _names(processes, "forced_sessions"),
        "unflushed": _names(processes, "unflushed"),
        "holds": _names(processes, "holds"),
        "leaving": sum(process.get("order_id") == LEAVING for process in processes),
        "processes": processes,
        "stale": stale,
    }


def iso(moment: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def _sum(processes: Iterable[Mapping[str, Any]], key: str) -> int:
    return sum(int(process.get(key) or 0) for process in processes)


def _names(processes: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    return [name for process in processes for name in process.get(key) or ()][:MOST_NAMES]
