"""Whatever clients send, a process keeps little of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.metrics.outcomes import OutcomeEvents
from mina_ops.app.metrics.routes import json_probes
from mina_ops.app.web.middleware import Middleware
from mina_ops.app.web.paths import Paths, Recording
from tests.support.context import context_of

REQUESTS = 100_000


def not_found(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """As a host that has no such page."""
    start("404 NOT FOUND", [])
    return [b"no such page"]


def test_100_000_paths_and_methods_make_two_series_and_keep_no_memory() -> None:
    metrics = Metrics(context_of(MINA_OPS_REQUEST_LOG=False), OutcomeEvents())
    heartbeat = Heartbeat(1.0)
    heartbeat.running = True
    middleware = Middleware(
        not_found,
        Paths(json_probes(metrics.figures)),
        Recording(metrics.durations),
        {},
        heartbeat,
    )

    def flood(first: int, last: int) -> None:
        for number in range(first, last):
            method = "GET" if number % 2 else f"M{number}"
            environ = {"PATH_INFO": f"/no/{number}", "REQUEST_METHOD": method}
            middleware(environ, lambda *_: None).close()  # type: ignore[attr-defined]
            if number % 5000 == 0:
                metrics.flush(1_700_000_000.0)
        metrics.flush(1_700_000_000.0)

    flood(0, 20_000)
    tracemalloc.start()
    flood(20_000, REQUESTS)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2_000_000
    total = metrics.figures.total().amounts
    counts = {name: n for name, n in total.items() if name.startswith("r:")}
    assert {name.split(":")[1] for name in counts} == {"GET", "_OTHER"}
    assert sum(counts.values()) == REQUESTS
