"""What visitors and blue feel while GETs are mirrored to green: nothing, they should.

The same steady load goes through nginx and through Envoy, in turns with and without the mirror, so
that what else the machine does falls on both alike. Counted are blue's requests and its processor
time for each of them, how long visitors wait, and what the load balancer spends. green is a
process of its own on the same machine. It gets all copies, and without the mirror as many requests
directly: what its work alone takes from blue, on two cores, is no part of the comparison.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_gunicorn
from mina_ops.operator.traffic.mirror import Mirror
from mina_ops.operator.traffic.model import Split
from tests.benchmarks._report import Report, arguments
from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps, in_front

REPOSITORY = Path(__file__).resolve().parents[2]
LANES = 4
REQUEST = b"GET /api/who HTTP/1.1\r\nHost: mina.example\r\n\r\n"
# Within it a worker writes down what it counted.
_COUNTED_SECONDS = 2.5
_LIMIT_PERCENT = 5.0


@dataclass
class Turn:
    """One stretch of load: seconds that each request took, and what blue and the balancer spent."""

    took: list[float] = field(default_factory=list)
    failed: int = 0
    blue_seconds: float = 0.0
    blue_requests: int = 0
    green_requests: int = 0
    balancer_seconds: float = 0.0

    def quantile_ms(self, q: float) -> float:
        return sorted(self.took)[int(q * len(self.took))] * 1000


def blue_us(turns: list[Turn]) -> float:
    """Processor time of blue for a visitor's request, over all of these turns."""
    return sum(t.blue_seconds for t in turns) / sum(len(t.took) for t in turns) * 1_000_000


async def lane(port: int, until: float, pause: float, turn: Turn) -> None:
    """A visitor who keeps his connection, as browsers do, and asks at a steady pace."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.monotonic()
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due += pause
        began = time.monotonic()
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        sizes = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
        await reader.readexactly(int(sizes[0].split(b":")[1]))
        turn.took.append(time.monotonic() - began)
        turn.failed += not head.startswith(b"HTTP/1.1 200 ")
    writer.close()


async def visit(port: int, seconds: float, per_second: float, turn: Turn) -> None:
    until = time.monotonic() + seconds
    await asyncio.gather(*(lane(port, until, LANES / per_second, turn) for _ in range(LANES)))


async def visits(
    port: int, green: int | None, seconds: float, per_second: float, turn: Turn
) -> None:
    """Visitors of the site, and as many of green itself where it gets no copies."""
    beside = [] if green is None else [visit(green, seconds, per_second, Turn())]
    await asyncio.gather(visit(port, seconds, per_second, turn), *beside)


def cpu_seconds(server: Server) -> float:
    """Processor time that a server and its workers have had."""
    root = psutil.Process(server.pid)
    return sum(sum(p.cpu_times()[:2]) for p in (root, *root.children(recursive=True)))


def requests_of(server: Server) -> int:
    """What an app has counted in the last hour."""
    answer = httpx.get(f"{server.url}/api/metrics/errors", params={"window": 3600}, timeout=30)
    return int(answer.json()["requests"])


def measure(
    balancer: Balancer, apps: RealApps, seconds: float, per_second: float, *, mirrored: bool
) -> Turn:
    """One turn, with what green got of it."""
    split = Split.all_to("blue", apps.servers)
    wanted = split.mirrored(Mirror("green", 100, 600)) if mirrored else split
    balancer.driver.apply(wanted)
    turn, blue = Turn(), apps.servers["blue"]
    counted = {name: requests_of(server) for name, server in apps.servers.items()}
    before = cpu_seconds(blue), cpu_seconds(balancer.server)
    green = None if mirrored else apps.servers["green"].port
    asyncio.run(visits(balancer.port, green, seconds, per_second, turn))
    turn.blue_seconds = cpu_seconds(blue) - before[0]
    turn.balancer_seconds = cpu_seconds(balancer.server) - before[1]
    time.sleep(_COUNTED_SECONDS)
    turn.blue_requests = requests_of(blue) - counted["blue"]
    turn.green_requests = requests_of(apps.servers["green"]) - counted["green"]
    return turn


def compare(report: Report, name: str, options: Options) -> None:
    """Turns without and with the mirror, one after the other, and the ratios of their medians."""
    turns: dict[bool, list[Turn]] = {False: [], True: []}
    with (
        tempfile.TemporaryDirectory() as place,
        real_apps() as apps,
        in_front(name, Path(place), apps) as balancer,
    ):
        measure(balancer, apps, 2, options.per_second, mirrored=True)
        for number in range(2 * options.turns):
            # Without, with, with, without: what slowly changes falls on both alike.
            is_on = number % 4 in (1, 2)
            turn = measure(balancer, apps, options.seconds, options.per_second, mirrored=is_on)
            turns[is_on].append(turn)
    tell(report, name, turns)


def tell(report: Report, name: str, turns: dict[bool, list[Turn]]) -> None:
    """The figures of both kinds of turn, and whether blue's load is what it was."""
    for is_on, kind in ((False, "alone"), (True, "mirrored")):
        found = turns[is_on]
        report.figure(f"{name}_{kind}_blue_us_of_cpu_per_request", blue_us(found), 0)
        spent = sum(t.balancer_seconds for t in found) / sum(len(t.took) for t in found)
        report.figure(f"{name}_{kind}_balancer_us_of_cpu_per_request", spent * 1_000_000, 0)
        for label, q in (("p50", 0.5), ("p99", 0.99)):
            middle = statistics.median(turn.quantile_ms(q) for turn in found)
            report.figure(f"{name}_{kind}_{label}_ms", middle, 2)
        report.figure(f"{name}_{kind}_visitors_requests", sum(len(t.took) for t in found), 0)
        report.figure(f"{name}_{kind}_blue_requests", sum(t.blue_requests for t in found), 0)
        report.figure(f"{name}_{kind}_green_requests", sum(t.green_requests for t in found), 0)
    failed = sum(turn.failed for row in turns.values() for turn in row)
    alone, mirrored = (
        sum(t.blue_requests for t in turns[kind]) / sum(len(t.took) for t in turns[kind])
        for kind in (False, True)
    )
    cpu = [blue_us(turns[kind]) for kind in (False, True)]
    report.goal(f"{name}_failed", failed, 0)
    report.goal(f"{name}_blue_cpu_more_percent", 100 * (cpu[1] / cpu[0] - 1), _LIMIT_PERCENT)
    report.goal(f"{name}_blue_requests_more_percent", 100 * (mirrored / alone - 1), _LIMIT_PERCENT)


@contextmanager
def real_apps() -> Iterator[RealApps]:
    """A gunicorn for each colour, each with one worker, so that it counts all of its requests."""
    with (
        tempfile.TemporaryDirectory() as place,
        _app(Path(place), "blue") as blue,
        _app(Path(place), "green") as green,
    ):
        yield RealApps({"blue": blue, "green": green}).until_ready()


def _app(folder: Path, colour: str) -> Server:
    return start_gunicorn(
        folder / colour,
        "tests.operator.traffic.versioned_host:app",
        worker_class="gthread",
        threads=8,
        environment={"APP_VERSION": "v1", "ENVIRONMENT": colour, "MINA_OPS_REQUEST_LOG": "0"},
        import_from=REPOSITORY,
        options=["--log-level", "error"],
        name=colour,
    )


class Options:
    """What the command line asks for."""

    turns: int
    seconds: float
    per_second: float
    balancers: list[str]
    json: bool


def main() -> int:
    """Measure nginx and Envoy; the goal is that blue's load stays within 5 %."""
    parser = arguments(__doc__)
    parser.add_argument("--turns", type=int, default=6, help="of each kind and balancer")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each turn")
    names = ("nginx", "envoy")
    parser.add_argument("--balancers", nargs="+", choices=names, default=names)
    parser.add_argument("--per-second", type=float, default=60.0, help="requests of visitors")
    options = parser.parse_args(namespace=Options())
    report = Report(options.json)
    for name in options.balancers:
        compare(report, name, options)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
