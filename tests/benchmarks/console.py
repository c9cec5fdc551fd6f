"""What ten open consoles cost a worker, beside requests to a bare route of the same host.

One gthread worker over a real Redis. Its processor time is read while nobody looks, while ten
viewers ask each second as the page does, and while a bare route is asked a known number of times.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from mina_ops.demo.servers import start_redis
from tests.app.console import site as sites
from tests.app.console.site import TOKEN, Site
from tests.benchmarks._report import Report, arguments
from tests.support.hosts import running_hosts
from tests.support.wait import eventually

VIEWERS = 10
CALLS = 1500
LOOK_LIMIT = 3.0
SHARE_LIMIT = 10.0


def main() -> int:
    """Measure, report; 0 if every goal was met."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    chosen = parser.parse_args()
    report = Report(chosen.json)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with start_redis(folder / "redis") as store, contextmanager(running_hosts)(folder) as hosts:
            measure(report, sites.start(hosts, store.url), chosen.seconds)
    return report.finish()


def measure(report: Report, site: Site, seconds: float) -> None:
    """Idle, ten viewers, and the bare route."""
    (worker,) = psutil.Process(site.blue.pid).children()
    eventually(lambda: site.data()["colours"]["green"]["ready"], 20)
    # The hour before is read within the first beats of a look, once; then a look is over.
    time.sleep(15)
    idle = percent_of(worker, seconds, lambda: time.sleep(seconds))
    looks = [0]
    watched = percent_of(worker, seconds, lambda: look(site, seconds, looks))
    bare = cpu_of(worker, lambda: ask(site.blue.url, CALLS)) / CALLS
    report.figure("worker_idle_percent_of_a_core", idle)
    report.figure("worker_ten_viewers_percent_of_a_core", watched)
    report.figure("looks", looks[0], 0)
    report.figure("bare_route_ms", bare * 1000)
    a_look = max(0.0, watched - idle) / 100 * seconds / looks[0]
    report.figure("a_look_ms", a_look * 1000)
    report.goal("a_look_of_a_bare_route", round(a_look / bare, 2), LOOK_LIMIT)
    report.goal("ten_viewers_percent_of_a_core", round(watched - idle, 2), SHARE_LIMIT)


def look(site: Site, seconds: float, looks: list[int]) -> None:
    """Ten pages ask each second, each over a connection of its own."""
    end = time.monotonic() + seconds

    def view() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        after = time.time()
        with httpx.Client(base_url=site.blue.url, headers=headers, timeout=10) as client:
            while time.monotonic() < end:
                client.get(f"/mina-ops/data?after={after}").raise_for_status()
                looks[0] += 1
                time.sleep(1)

    viewers = [threading.Thread(target=view) for _ in range(VIEWERS)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()


def ask(url: str, calls: int) -> None:
    """A bare route, over one connection."""
    with httpx.Client(timeout=10) as client:
        for _ in range(calls):
            client.get(url)


def cpu_of(worker: psutil.Process, work: Callable[[], None]) -> float:
    """Processor seconds of a worker while something is done."""
    before = worker.cpu_times()
    work()
    after = worker.cpu_times()
    return (after.user - before.user) + (after.system - before.system)


def percent_of(worker: psutil.Process, seconds: float, work: Callable[[], None]) -> float:
    """The same in percent of a core."""
    return 100 * cpu_of(worker, work) / seconds


if __name__ == "__main__":
    sys.exit(main())
