"""What a hand-over costs a conversation: the gap, and what is lost, doubled or late.

    python -m tests.benchmarks.handover --json
    python -m tests.benchmarks.handover --json --clients 2500 --transports mixed
    python -m tests.benchmarks.handover --json --clients 5000
    python -m tests.benchmarks.handover --json --only at_20 --times 6
    python -m tests.benchmarks.handover --json --only random_stop --times 20

First it measures how many events a second a bare Flask-SocketIO host takes in here; loads are
shares of that. Then blue, under gunicorn's gevent worker behind nginx, is drained under 20 %, 60 %
and 150 % of it; at 60 % with blue's worker, green, Redis or nginx stopped for 3 s in the middle, or
one of them at a time by chance; and at 30 % with blue's worker stopped half of the time. Stock
clients do the same job beside ours, and a stock Flask-SocketIO host is restarted with SIGTERM. Of
the longest gap of each drain the figures tell where its time went. The gap has its goal at 20 %:
clients, balancer, Redis and both colours share this machine, so at 60 % each chunk waits for a
processor in any case, as the usual gap beside it shows.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import redis

from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_redis
from tests.app.drain.fleet import Clients, Colour, Fleet, colour, losses, proxy
from tests.benchmarks._cpu import Machine
from tests.benchmarks._crowd import GUNICORN, SHIPPED, crowd, percentile, raise_file_limit
from tests.benchmarks._report import Report, arguments
from tests.benchmarks._stalls import report_stalls, watching
from tests.benchmarks._stops import RANDOM, SLICES, disturbed
from tests.support.hosts import Hosts
from tests.support.wait import eventually

GAP_LIMIT_MS = 50.0
CAPACITY_SECONDS = 5.0
TRANSPORTS = {"websocket": [["websocket"]], "mixed": [["websocket"]] * 4 + [["polling"]]}
STOCK_APP = "tests.benchmarks._stock_host:app"
LISTENERS_APP = "tests.app.recovery.host:app"
LISTENERS = Path(__file__).parents[1] / "app/recovery/clients.mjs"


@dataclass(frozen=True)
class Job:
    """One drain under load."""

    name: str
    share: float
    mode: str = "move"
    stop: str = ""
    """Who stands still meanwhile; see `_stops`."""
    goals: bool = True


JOBS = (
    Job("at_20", 0.2),
    Job("at_60", 0.6),
    Job("at_60_stock_clients", 0.6, mode="stock", goals=False),
    Job("at_150", 1.5),
    Job("stalled", 0.6, stop="blue"),
    *(Job(f"{name}_stalled", 0.6, stop=name) for name in ("green", "redis", "balancer")),
    Job("half_a_processor", 0.3, stop=SLICES),
    Job("random_stop", 0.6, stop=RANDOM),
)


class Bench:
    """What all parts of the run share."""

    def __init__(self, report: Report, given: Namespace, folder: Path, server: Server) -> None:
        self.report = report
        self.clients, self.grace = given.clients, given.grace
        self.transports = TRANSPORTS[given.transports]
        self.capacity = 0.0
        self._folder = folder
        self.redis, self.redis_url = server, server.url

    @contextmanager
    def hosts(self, name: str) -> Iterator[tuple[Hosts, Path]]:
        """A place for hosts, with an empty Redis: a blue that was drained stays so."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()
        hosts = Hosts(self._folder / name)
        try:
            yield hosts, self._folder / name
        finally:
            hosts.stop_all()

    @contextmanager
    def stock(self, name: str) -> Iterator[tuple[Colour, str]]:
        """Two bare hosts behind nginx: blue, and the address of both."""
        options = {"app": STOCK_APP, "worker": "gevent", "options": GUNICORN, "ready_path": "/"}
        with self.hosts(name) as (hosts, folder):
            blue, green = (
                colour(hosts, each, redis_url=self.redis_url, **options)
                for each in ("blue", "green")
            )
            with proxy(folder / "nginx", blue, green) as balancer, blue.http, green.http:
                yield blue, balancer.url

    def interval_ms(self, share: float) -> float:
        """How often each client sends, so that all together send this share of the capacity."""
        return 1000 * self.clients / (share * self.capacity)


def main() -> int:
    """Run all parts and report; 0 if every goal was met."""
    options = arguments(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--clients", type=int, default=300, help="of each drain (300)")
    options.add_argument("--transports", choices=TRANSPORTS, default="websocket")
    options.add_argument("--grace", type=float, default=10.0, help="seconds of each drain (10)")
    names = [job.name for job in JOBS] + ["events", "stock"]
    options.add_argument("--only", choices=names, help="the capacity and this part alone")
    options.add_argument("--times", type=int, default=1, help="that part so many times (1)")
    given = options.parse_args()
    raise_file_limit()
    report = Report(given.json)
    with tempfile.TemporaryDirectory(prefix="mina-handover-") as name:
        folder = Path(name)
        with start_redis(folder / "redis") as server:
            bench = Bench(report, given, folder, server)
            _measure_capacity(bench)
            for job in JOBS:
                if given.only in (None, job.name):
                    _drains(bench, job, given.times if job.name == given.only else 1)
            if given.only in (None, "events"):
                _events(bench)
            if given.only in (None, "stock"):
                _stock(bench)
    return report.finish()


def _measure_capacity(bench: Bench) -> None:
    """Events a second that the bare host carries, from as many clients, mixed as the drains' are.

    Each kind is measured by itself: in one closed loop, those that poll would send less than their
    share, and an event of theirs costs several of a websocket's.
    """
    kinds = Counter(tuple(transports) for transports in bench.transports)
    seconds = 0.0
    for kind, number in kinds.items():
        carried = _carried(bench, list(kind))
        bench.report.figure(f"capacity_{kind[0]}_events_per_second", carried, 0)
        seconds += number / kinds.total() / carried
    bench.capacity = 1 / seconds
    bench.report.figure("capacity_events_per_second", bench.capacity, 0)


def _carried(bench: Bench, transports: list[str]) -> float:
    """Events a second of a closed loop on the bare host."""
    with (
        bench.stock("capacity") as (_blue, url),
        crowd(url, bench.clients, mode="closed", transports=[transports]) as loop,
    ):
        time.sleep(max(1.0, bench.clients / 500))  # so that each has had its first answer
        before, began = loop.sum("acknowledged"), time.monotonic()
        time.sleep(CAPACITY_SECONDS)
        return (loop.sum("acknowledged") - before) / (time.monotonic() - began)


def _drains(bench: Bench, job: Job, times: int) -> None:
    """One drain or several. The gap's goal holds for all clients of all of them together.

    Of 300 clients the 99th percentile is the third: whichever burst of chunks meets a few
    handshakes decides it.
    """
    beyond: list[float] = []
    for number in range(times):
        beyond += _drain(
            bench, replace(job, name=f"{job.name}_{number + 1}" if number else job.name)
        )
    if job.name == "at_20":
        p99 = percentile(beyond, 99)
        bench.report.goal(f"{job.name}_gap_of_all_beyond_interval_p99_ms", p99, GAP_LIMIT_MS)


def _drain(bench: Bench, job: Job) -> list[float]:
    """Drain blue once; by how much each client's gap was beyond its interval, in ms."""
    report, interval = bench.report, bench.interval_ms(job.share)
    report.say(f"{job.name}: {bench.clients} clients, a chunk each {interval:.0f} ms")
    more = {"worker": "gevent", "options": GUNICORN, "environment": SHIPPED}
    how = {"mode": job.mode, "transports": bench.transports, "interval_ms": round(interval)}
    with (
        bench.hosts(job.name) as (hosts, folder),
        Fleet(hosts, folder / "nginx", bench.redis_url, **more) as fleet,
        crowd(fleet.proxy.url, bench.clients, **how) as talking,
    ):
        # So long that each has had some answers.
        time.sleep(max(3.0, 3 * interval / 1000))
        with Machine(fleet.blue.server.process.pid) as machine, watching(fleet) as watch:
            began = time.monotonic()
            fleet.blue.drain(grace_seconds=bench.grace)
            with disturbed(fleet, bench.redis, job.stop, bench.grace / 3):
                status = fleet.blue.wait_until_drained(bench.grace + 60)
            seconds = time.monotonic() - began
            with suppress(AssertionError):
                eventually(lambda: talking.on("green") == bench.clients, 20, "some never come back")
        never_back = bench.clients - talking.on("green")
        finals = talking.finish()
    report.figure(f"{job.name}_drain_seconds", seconds, 1)
    report.figure(f"{job.name}_processor_used_by_others_percent", machine.others_percent, 1)
    report_stalls(report, job.name, watch, finals, interval)
    _report(bench, job, finals, status, never_back)
    return [max(0.0, gap - interval) for final in finals for gap in final["gaps_ms"]]


def _report(
    bench: Bench,
    job: Job,
    finals: list[dict[str, Any]],
    status: Mapping[str, Any],
    never_back: int,
) -> None:
    report, name = bench.report, job.name
    _report_gaps(bench, name, finals, bench.interval_ms(job.share))
    streams = {k: v for final in finals for k, v in final["streams"].items()}
    result = losses(bench.redis_url, streams)
    report.figure(f"{name}_chunks_sent", result.sent, 0)
    found = {"lost": result.lost, "twice": result.twice, "out_of_order": result.out_of_order}
    found |= {"never_back": never_back, "forced": status["forced"]}
    for what, value in found.items():
        # More than a host can carry may take longer, and forces nobody who has something to lose.
        if job.goals and (what != "forced" or job.share < 1):
            report.goal(f"{name}_{what}", value, 0)
        else:
            report.figure(f"{name}_{what}", value, 0)
    for forced in status["forced_sessions"][:5]:
        report.say(f"forced: {forced}")


def _report_gaps(bench: Bench, name: str, finals: list[dict[str, Any]], interval: float) -> None:
    for what, key in (("gap", "gaps_ms"), ("usual_gap", "usual_gaps_ms")):
        gaps = [max(0.0, gap - interval) for final in finals for gap in final[key]]
        for percent in (50, 99):
            value = percentile(gaps, percent)
            bench.report.figure(f"{name}_{what}_beyond_interval_p{percent}_ms", value, 1)


def _events(bench: Bench) -> None:
    """Numbered events from green to a room whose members blue hands over."""
    argv = {"clients": min(100, bench.clients), "transports": [["websocket"], ["polling"], []]}
    more = {"worker": "gevent", "options": GUNICORN, "app": LISTENERS_APP}
    environment = {**SHIPPED, "MESSAGE_QUEUE": bench.redis_url}
    with (
        bench.hosts("events") as (hosts, folder),
        Fleet(hosts, folder / "nginx", bench.redis_url, environment=environment, **more) as fleet,
        Clients.start(programs.node(), fleet.proxy.url, script=LISTENERS, **argv) as listeners,
        httpx.Client(base_url=fleet.green.server.url, timeout=20) as http,
    ):
        everybody = lambda: listeners.last.get("clients", ())  # noqa: E731
        eventually(lambda: everybody() and all(c.get("joined") for c in everybody()), 20, "joined")
        fleet.blue.drain(grace_seconds=bench.grace)
        said, over = 0, time.monotonic() + bench.grace + 3
        while time.monotonic() < over:
            said += 1
            http.post(f"/say/{said}").raise_for_status()
            time.sleep(0.05)
        with suppress(AssertionError):
            last = lambda: all(c["numbers"][-1:] == [said] for c in everybody())  # noqa: E731
            eventually(last, 10, "events are missing")
        heard = [one["numbers"] for one in everybody()]
    bench.report.figure("events_said", said * len(heard), 0)
    wanted = set(range(1, said + 1))
    bench.report.goal("events_missed", sum(len(wanted - set(one)) for one in heard), 0)
    bench.report.goal("events_doubled", sum(len(one) - len(set(one)) for one in heard), 0)
    disordered = sum(one != sorted(one) for one in heard)
    bench.report.goal("events_out_of_order", disordered, 0)


def _stock(bench: Bench) -> None:
    """What a stock restart does to the same clients, by plain emits."""
    interval = bench.interval_ms(0.6)
    how = {"mode": "stock", "transports": bench.transports, "interval_ms": round(interval)}
    with bench.stock("stock") as (blue, url), crowd(url, bench.clients, **how) as talking:
        time.sleep(2)
        blue.server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not blue.server.alive, 30, "stock blue does not end", interval=0.1)
        back = lambda: talking.sum("connected") >= bench.clients  # noqa: E731
        with suppress(AssertionError):
            eventually(back, 15, "stock clients do not come back", interval=0.2)
        bench.report.figure("stock_host_never_back", bench.clients - talking.sum("connected"), 0)
        finals = talking.finish()
    _report_gaps(bench, "stock_host", finals, interval)
    streams = {k: v for final in finals for k, v in final["streams"].items()}
    result = losses(bench.redis_url, streams)
    for what in ("sent", "lost", "twice", "out_of_order"):
        bench.report.figure(f"stock_host_{what}", getattr(result, what), 0)


if __name__ == "__main__":
    if shutil.which("node") is None:
        sys.exit("node is not installed; scripts/dev/setup says how to get it")
    sys.exit(main())
