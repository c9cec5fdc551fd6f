"""The gap of a drain by kind of client, with default options: the table of docs/drain.md.

    python -m tests.benchmarks.gaps --json
    python -m tests.benchmarks.gaps --json --only python_client_polling

For each kind: so many clients on blue, gevent behind nginx, each with a chunk every 250 ms; then
blue is drained. The gap is the longest time between two acknowledgements of a client over the
drain, beyond the chunk interval; the usual gap is the same before the drain, on the same machine.
What is lost is counted for clients of ours, which must lose nothing, and told for stock ones, which
send without waiting for acknowledgements. Every client of every kind has to come back.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis

from mina_ops.demo import programs
from mina_ops.demo.servers import start_redis
from tests.app.drain.fleet import Clients, Fleet, losses
from tests.benchmarks._crowd import GUNICORN, SHIPPED, percentile
from tests.benchmarks._report import Report, arguments
from tests.support.hosts import Hosts
from tests.support.wait import eventually

INTERVAL_MS = 250
GRACE_SECONDS = 10.0
TRANSPORTS = ("websocket", "polling", "default")
# Name of the figures -> the `mode` of clients.mjs, or the `kind` of _pythons.py.
NODE = {"mina_stream": "move", "stock_node": "stock"}
PYTHON = {
    "stream_client": "stream_client",
    "moving_client": "moving_client",
    "async_moving_client": "async_moving_client",
    "python_client": "client",
    "python_async_client": "async_client",
}
OURS = ("mina_stream", "stream_client", "moving_client", "async_moving_client")


@dataclass(frozen=True)
class Kind:
    """A client and the transport that it is told to use."""

    name: str
    transport: str

    @property
    def figure(self) -> str:
        """What its figures begin with."""
        return f"{self.name}_{self.transport}"

    def started(self, url: str, clients: int) -> Clients:
        """So many of them in a process of their own."""
        shared: dict[str, Any] = {"clients": clients, "interval_ms": INTERVAL_MS}
        if self.name in NODE:
            transports = [[] if self.transport == "default" else [self.transport]]
            how = {"mode": NODE[self.name], "transports": transports, **shared}
            return Clients.start(programs.node(), url, **how)
        how = {"url": url, "kind": PYTHON[self.name], "transport": self.transport, **shared}
        return Clients.start_module("tests.benchmarks._pythons", how)


KINDS = {
    kind.figure: kind
    for kind in (Kind(name, transport) for name in (*NODE, *PYTHON) for transport in TRANSPORTS)
}


def main() -> int:
    """Measure each kind and report; 0 if every goal was met."""
    options = arguments(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--clients", type=int, default=20, help="of each kind (20)")
    options.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS), metavar="KIND")
    given = options.parse_args()
    report = Report(given.json)
    with tempfile.TemporaryDirectory(prefix="mina-gaps-") as name:
        folder = Path(name)
        with start_redis(folder / "redis") as server:
            for figure in given.only:
                place = folder / figure
                with _fleet(place, server.url) as fleet:
                    _measure(report, KINDS[figure], fleet, given.clients)
    return report.finish()


@contextmanager
def _fleet(folder: Path, redis_url: str) -> Iterator[Fleet]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    hosts = Hosts(folder / "hosts")
    more = {"worker": "gevent", "options": GUNICORN, "environment": SHIPPED}
    try:
        with Fleet(hosts, folder / "nginx", redis_url, **more) as fleet:
            yield fleet
    finally:
        hosts.stop_all()


def _measure(report: Report, kind: Kind, fleet: Fleet, clients: int) -> None:
    def on(colour: str) -> bool:
        return bool(talking.last.get("colours", {}).get(colour) == clients)

    with kind.started(fleet.proxy.url, clients) as talking:
        eventually(lambda: on("blue"), 30, f"{kind.figure}: not all connect")
        time.sleep(3)  # so that each has had some answers
        psutil.cpu_percent()
        fleet.blue.drain(grace_seconds=GRACE_SECONDS)
        with suppress(AssertionError):
            eventually(lambda: on("green"), 20, "some never come back", interval=0.1)
        time.sleep(2)  # the first answers of the last one to come
        busy = psutil.cpu_percent()
        never_back = clients - int(talking.last.get("colours", {}).get("green", 0))
        final = talking.finish()
    _report(report, kind, fleet, final)
    report.figure(f"{kind.figure}_processors_busy_percent", busy, 0)
    report.goal(f"{kind.figure}_never_back", never_back, 0)


def _report(report: Report, kind: Kind, fleet: Fleet, final: Mapping[str, Any]) -> None:
    for what, key in (("gap", "gaps_ms"), ("usual_gap", "usual_gaps_ms")):
        gaps = [max(0.0, gap - INTERVAL_MS) for gap in final[key]]
        for label, percent in (("min", 0), ("p50", 50), ("max", 100)):
            name = f"{kind.figure}_{what}_beyond_interval_{label}_ms"
            report.figure(name, percentile(gaps, percent), 0)
    result = losses(fleet.redis_url, final["streams"])
    report.figure(f"{kind.figure}_sent", result.sent, 0)
    for name in ("lost", "twice", "out_of_order"):
        value = getattr(result, name)
        if kind.name in OURS:
            report.goal(f"{kind.figure}_{name}", value, 0)
        else:
            report.figure(f"{kind.figure}_{name}", value, 0)


if __name__ == "__main__":
    sys.exit(main())
