"""The status of a colour's drain, summed over the reports of its processes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mina_ops.app.drain.model import Order, in_full
from mina_ops.app.state.drain_state import COMPONENT, LEAVING, colour_state

# Names that a report lists; the counts beside them are always exact.
MOST_NAMES = 50

COUNTS = ("remaining", "initial", "in_flight", "requests", "forced")
NAMES = ("forced_sessions", "unflushed", "holds")


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
        order: the colour's order, if there is one.
        reports: process id -> its whole report.
        now: seconds since the epoch.
        stale: whether the reports are older than a process may be silent.
    """
    drains = {name: report.get(COMPONENT) or {} for name, report in reports.items()}
    processes = [{"process": name, **drain} for name, drain in drains.items()]
    counts = {name: _sum(processes, name) for name in COUNTS}
    names = {name: _names(processes, name) for name in NAMES}
    leaving = sum(process.get("order_id") == LEAVING for process in processes)
    shown = in_full(order, now)
    return {
        "state": str(colour_state(shown["order_id"], drains.values())),
        "environment": environment,
        **shown,
        **counts,
        "active_connections": counts["remaining"],
        **names,
        "leaving": leaving,
        "processes": processes,
        "stale": stale,
    }


def _sum(processes: Iterable[Mapping[str, Any]], key: str) -> int:
    return sum(int(process.get(key) or 0) for process in processes)


def _names(processes: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    return [name for process in processes for name in process.get(key) or ()][:MOST_NAMES]
