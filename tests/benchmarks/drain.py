"""Drain thousands of live sessions, and let stock Flask-SocketIO do the same job beside it.

    python -m tests.benchmarks.drain --json

2,000 websocket and 500 polling clients, then 5,000 websockets, each sending numbered chunks, are
moved from blue to green behind nginx, both under gunicorn's gevent worker. Then the same clients
without mina_ops and without its client script: blue gets the SIGTERM that a stock restart sends.
"""

from __future__ import annotations

import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import redis

from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_redis
from tests.app.drain.fleet import Clients, Colour, Fleet, Losses, colour, losses, proxy
from tests.benchmarks._cpu import Machine
from tests.benchmarks._report import Report, arguments
from tests.support.hosts import Hosts
from tests.support.wait import eventually

GRACE_SECONDS = 30.0
ANSWER_LIMIT_MS = 50.0
MIXED = (2000, 500)
MANY = 5000
# Two cores carry the servers, nginx, Redis and the clients: 500 chunks a second leave some idle.
MIXED_INTERVAL_MS = 5_000
MANY_INTERVAL_MS = 10_000
# What tests make longer, so that a busy machine fails none.
SHIPPED = {"MINA_OPS_REDIS_TIMEOUT": "0.2"}
GUNICORN = ("--worker-connections", "12000", "--graceful-timeout", "8", "--backlog", "4096")
MIXED_TRANSPORTS = [["websocket"]] * 4 + [["polling"]]


@dataclass(frozen=True)
class Job:
    """Clients to be moved, and how often each sends a chunk."""

    name: str
    clients: int
    transports: Sequence[Sequence[str]]
    interval_ms: int


class Prober:
    """Asks for the connections of a colour ten times a second, and times the answers."""

    def __init__(self, one: Colour) -> None:
        self.milliseconds: list[float] = []
        self.slowest = (0.0, 0.0)
        """Milliseconds of the slowest answer, and when it was asked for, in seconds."""
        self.failures = 0
        self._url = f"{one.server.url}/api/metrics/connections"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Prober:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.perf_counter()
        with httpx.Client(timeout=5) as client:
            while not self._over.wait(0.1):
                began = time.perf_counter()
                try:
                    client.get(self._url).raise_for_status()
                except httpx.HTTPError:
                    self.failures += 1
                milliseconds = (time.perf_counter() - began) * 1000
                self.milliseconds.append(milliseconds)
                self.slowest = max(self.slowest, (milliseconds, began - start))


def main() -> int:
    """Run all three and report; 0 if every goal was met."""
    options = arguments(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--small", action="store_true", help="a tenth of the clients, for a look")
    options.add_argument("--only", choices=("mixed", "many", "stock"), help="one of the three")
    given = options.parse_args()
    scale = 10 if given.small else 1
    report = Report(given.json)
    _raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="mina-drain-") as name:
        folder = Path(name)
        with start_redis(folder / "redis") as server:
            mixed = sum(MIXED) // scale
            if not given.only or given.only == "mixed":
                job = Job("mixed", mixed, MIXED_TRANSPORTS, MIXED_INTERVAL_MS)
                _drain(report, folder / "mixed", server, job)
            many = MANY // scale
            if not given.only or given.only == "many":
                job = Job("many", many, [["websocket"]], MANY_INTERVAL_MS)
                _drain(report, folder / "many", server, job)
            if not given.only or given.only == "stock":
                _stock(report, folder / "stock", server, mixed)
    return report.finish()


@contextmanager
def _clients(url: str, number: int, **options: Any) -> Iterator[list[Clients]]:
    """The clients, in two processes, connected to blue."""
    node = programs.node()
    with ExitStack() as running:
        groups = [
            running.enter_context(
                Clients.start(node, url, clients=half, ramp_ms=number * 3, report_ms=500, **options)
            )
            for half in (number // 2, number - number // 2)
        ]
        for group in groups:
            eventually(
                lambda group=group: (
                    group.last.get("connected") == group.last.get("clients", -1) > 0  # type: ignore[misc]
                    and group.last["clients"] >= number // 2
                ),
                90,
                "not all clients connect",
                interval=0.1,
            )
        yield groups


def _drain(report: Report, folder: Path, server: Server, job: Job) -> None:
    name, number = job.name, job.clients
    report.say(f"{name}: {number} clients, {job.interval_ms} ms a chunk, {GRACE_SECONDS:g} s")
    _forget_all(server)
    hosts = Hosts(folder)
    try:
        with (
            Fleet(
                *(hosts, folder / "nginx", server.url),
                worker="gevent",
                options=GUNICORN,
                environment=SHIPPED,
            ) as fleet,
            _clients(
                fleet.proxy.url,
                number,
                transports=job.transports,
                mode="stream",
                interval_ms=job.interval_ms,
            ) as groups,
        ):
            machine = Machine(fleet.blue.server.process.pid)
            # A full collection of Python's may stop the process here, but not during a drain.
            with Prober(fleet.blue) as before:
                time.sleep(2)
            with machine, Prober(fleet.blue) as prober:
                began = time.monotonic()
                fleet.blue.drain(grace_seconds=GRACE_SECONDS)
                status = fleet.blue.wait_until_drained(GRACE_SECONDS + 20)
                seconds = time.monotonic() - began
                eventually(lambda: _on_green(groups) == number, 60, "not all on green")
            moved = _on_green(groups)
            finals = [group.finish(60) for group in groups]
        for session in status["forced_sessions"][:5]:
            report.say(f"forced: {session}")
        report.figure(f"{name}_processor_used_by_others_percent", machine.others_percent, 1)
        report.figure(f"{name}_blue_waited_for_a_core_percent", machine.waited_percent, 1)
        report.figure(f"{name}_metrics_answer_max_before_ms", max(before.milliseconds))
        _report_drain(report, name, number, moved, seconds, status, prober)
        _report_reconnects(report, name, finals, limit=1.5)
        waiting = sum(final["sent"] - final["acknowledged"] for final in finals)
        report.goal(f"{name}_chunks_not_acknowledged", waiting, 0)
        _report_losses(report, name, _losses(server, finals), goals=True)
    finally:
        hosts.stop_all()


def _stock(report: Report, folder: Path, server: Server, number: int) -> None:
    report.say(f"stock: {number} clients, SIGTERM")
    hosts = Hosts(folder)
    app = "tests.benchmarks._stock_host:app"
    try:
        blue, green = (
            colour(
                hosts,
                name,
                redis_url=server.url,
                app=app,
                worker="gevent",
                options=GUNICORN,
                environment=SHIPPED,
                ready_path="/",
            )
            for name in ("blue", "green")
        )
        with (
            proxy(folder / "nginx", blue, green) as balancer,
            _clients(
                balancer.url,
                number,
                transports=MIXED_TRANSPORTS,
                mode="stock",
                interval_ms=MIXED_INTERVAL_MS,
            ) as groups,
        ):
            time.sleep(2)
            began = time.monotonic()
            blue.server.process.send_signal(signal.SIGTERM)
            eventually(lambda: not blue.server.alive, 30, "stock blue does not end", interval=0.1)
            eventually(
                lambda: (
                    sum(group.last["reconnects"] for group in groups) >= number * 0.98
                    and sum(group.last["connected"] for group in groups) >= number * 0.98
                ),
                60,
                "stock clients do not come back",
                interval=0.2,
            )
            report.figure("stock_seconds_until_all_are_back", time.monotonic() - began)
            finals = [group.finish(60) for group in groups]
        _report_reconnects(report, "stock", finals, limit=None)
        _report_losses(report, "stock", _losses(server, finals), goals=False)
        blue.http.close()
        green.http.close()
    finally:
        hosts.stop_all()


def _report_drain(
    report: Report,
    name: str,
    number: int,
    moved: int,
    seconds: float,
    status: dict[str, Any],
    prober: Prober,
) -> None:
    times = sorted(prober.milliseconds)
    report.figure(f"{name}_clients", number)
    report.figure(f"{name}_drain_seconds", seconds)
    report.figure(f"{name}_metrics_answer_p99_ms", times[int(len(times) * 0.99)])
    report.figure(f"{name}_metrics_answer_max_ms", times[-1])
    report.figure(f"{name}_metrics_answer_max_after_s", prober.slowest[1])
    report.goal(f"{name}_clients_not_on_green", number - moved, 0)
    report.goal(f"{name}_sessions_forced", status["forced"], 0)
    report.goal(f"{name}_drain_seconds", round(seconds, 2), GRACE_SECONDS)
    report.goal(f"{name}_metrics_answers_failed", prober.failures, 0)
    report.goal(f"{name}_metrics_answer_max_ms", round(times[-1], 1), ANSWER_LIMIT_MS)


def _report_reconnects(
    report: Report, name: str, finals: Sequence[dict[str, Any]], *, limit: float | None
) -> None:
    moments = sorted(m for final in finals for m in final["reconnected_at"])
    downtimes = sorted(d for final in finals for d in final["downtimes_ms"])
    per_second = Counter((m - moments[0]) // 1000 for m in moments)
    peak, mean = max(per_second.values()), len(moments) / (max(per_second) + 1)
    report.figure(f"{name}_reconnects_peak_per_second", peak)
    report.figure(f"{name}_reconnects_mean_per_second", mean)
    report.figure(f"{name}_downtime_p50_ms", downtimes[len(downtimes) // 2])
    report.figure(f"{name}_downtime_p99_ms", downtimes[int(len(downtimes) * 0.99)])
    ratio = round(peak / mean, 3)
    if limit is None:
        report.figure(f"{name}_reconnects_peak_to_mean", ratio)
    else:
        report.goal(f"{name}_reconnects_peak_to_mean", ratio, limit)


def _report_losses(report: Report, name: str, result: Losses, *, goals: bool) -> None:
    report.figure(f"{name}_chunks_sent", result.sent)
    for what in ("lost", "twice", "out_of_order"):
        value = getattr(result, what)
        if goals:
            report.goal(f"{name}_chunks_{what}", value, 0)
        else:
            report.figure(f"{name}_chunks_{what}", value)


def _losses(server: Server, finals: Sequence[dict[str, Any]]) -> Losses:
    return losses(server.url, {k: v for final in finals for k, v in final["streams"].items()})


def _forget_all(server: Server) -> None:
    """Drain orders among it: a blue that was drained stays so."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()


def _on_green(groups: Sequence[Clients]) -> int:
    return sum(int(group.last["colours"].get("green", 0)) for group in groups)


def _raise_file_limit() -> None:
    """Sockets are files; what is started inherits the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    if shutil.which("node") is None:
        sys.exit("node is not installed; scripts/dev/setup says how to get it")
    sys.exit(main())
