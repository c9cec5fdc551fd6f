"""What one event from a client costs a gevent worker: bare, with mina_ops, streams and recovery.

    python -m tests.benchmarks.chunk_cost --json

Each host writes the same to Redis for each event. Clients send the next event once the last one was
answered, so the worker is always busy; hosts take turns, since a machine is never twice the same.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
import redis

from mina_ops.demo.servers import start_redis
from tests.app.drain.fleet import APP, colour
from tests.benchmarks._crowd import GUNICORN, SHIPPED, crowd, raise_file_limit
from tests.benchmarks._report import Report, arguments
from tests.support.hosts import Hosts

CLIENTS = 100
MOST_LOST_PERCENT = 30


@dataclass(frozen=True)
class Kind:
    """A host, and the event that it is sent."""

    name: str
    app: str
    event: str
    recovery: str = ""


KINDS = (
    Kind("bare", "tests.benchmarks._stock_host:app", "plain"),
    Kind("attached", APP, "plain"),
    Kind("streams", APP, "chunk"),
    Kind("recovery", APP, "chunk", recovery="/"),
)


def main() -> int:
    """Run all kinds in turns and report; 0 if every goal was met."""
    options = arguments(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=3, help="turns of each host (3)")
    options.add_argument("--seconds", type=float, default=4.0, help="of each turn (4)")
    given = options.parse_args()
    raise_file_limit()
    report = Report(given.json)
    rates: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
    costs: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="mina-chunk-") as name:
        folder = Path(name)
        with start_redis(folder / "redis") as server:
            for number in range(given.rounds):
                for kind in KINDS:
                    where = folder / f"{kind.name}-{number}"
                    rate, cost = _turn(kind, where, server.url, given.seconds)
                    rates[kind.name].append(rate)
                    costs[kind.name].append(cost)
    for kind in KINDS:
        report.figure(f"{kind.name}_events_per_second", median(rates[kind.name]), 0)
        report.figure(f"{kind.name}_worker_microseconds_per_event", median(costs[kind.name]), 0)
    bare = median(costs["bare"])
    for kind in KINDS[1:]:
        of_bare = 100 * bare / median(costs[kind.name])
        report.figure(f"{kind.name}_events_of_bare_percent", of_bare, 1)
        # By the worker's own time: what else runs on the machine does not count.
        report.goal(f"{kind.name}_events_lost_percent", round(100 - of_bare, 1), MOST_LOST_PERCENT)
    return report.finish()


def _turn(kind: Kind, folder: Path, redis_url: str, seconds: float) -> tuple[float, float]:
    """Events a second, and microseconds of the worker's processor for each."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    hosts = Hosts(folder)
    environment = {**SHIPPED, "MINA_OPS_RECOVERY_NAMESPACES": kind.recovery}
    more = {"ready_path": "/"} if kind.event == "plain" and kind.name == "bare" else {}
    try:
        one = colour(
            *(hosts, "blue"),
            redis_url=redis_url,
            app=kind.app,
            worker="gevent",
            options=GUNICORN,
            environment=environment,
            **more,
        )
        how = {"mode": "closed", "event": kind.event, "transports": [["websocket"]]}
        with one.http, crowd(one.server.url, CLIENTS, **how) as loop:
            time.sleep(1)
            (worker,) = psutil.Process(one.server.pid).children()
            before, began, used = loop.sum("acknowledged"), time.monotonic(), _used(worker)
            time.sleep(seconds)
            events = loop.sum("acknowledged") - before
            rate = events / (time.monotonic() - began)
            return rate, 1e6 * (_used(worker) - used) / max(1, events)
    finally:
        hosts.stop_all()


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    if shutil.which("node") is None:
        sys.exit("node is not installed; scripts/dev/setup says how to get it")
    sys.exit(main())
