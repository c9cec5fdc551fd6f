"""Shows what this process costs the shared store, as Prometheus counters."""

from __future__ import annotations

from collections.abc import Callable

from mina_ops.app.metrics.component import Metrics
from mina_ops.app.state.base import Store

_FIGURES = {
    "connections": ("connections", "Connections of the asked process to the shared store."),
    "commands_total": ("commands", "Commands that the asked process sent to the shared store."),
    "sent_bytes_total": ("sent_bytes", "Bytes that the asked process sent to the shared store."),
    "received_bytes_total": (
        "received_bytes",
        "Bytes that the asked process got from the shared store, within a tenth.",
    ),
}


def show_cost(metrics: Metrics, store: Store) -> None:
    """Show a store's cost at `/metrics`; nothing where there is none, or it is not counted."""

    def reader(field: str) -> Callable[[], float | None]:
        return lambda: float(getattr(store.cost, field)) if store.cost.connections else None

    for name, (field, text) in _FIGURES.items():
        metrics.gauge(f"mina_ops_process_store_{name}", text, reader(field))
