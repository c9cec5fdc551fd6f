"""Switches under load on every engine, beside `nginx -s reload` for the same job.

A switch moves everybody from one colour to the other and back. Four stand-in instances answer
at once, so that what is measured is the load balancer. Failed requests are counted by a client
that sends nothing twice; the time to the last new request on the old colour is taken from the
arrivals that the instances noted, on one clock.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from mina_ops.demo import programs
from mina_ops.demo.processes import Server, free_port, start
from mina_ops.demo.servers import nginx_configuration, start_nginx
from mina_ops.errors import ToolMissing
from mina_ops.operator.traffic.model import Split
from tests.benchmarks._report import Report, arguments
from tests.operator.balancers import (
    Balancer,
    envoy_in_front,
    free_ports,
    gateway_in_front,
    haproxy_in_front,
    nginx_in_front,
)
from tests.support.envoy import envoy as envoy_program
from tests.support.traefik import traefik

HERE = Path(__file__).parent
COLOURS = ("blue", "green")
CONNECTIONS = 8
PAUSE_MS = 8.0
# After a switch, before the next: what still reaches the old colour is seen in this time.
SETTLE_SECONDS = 0.02
RELOAD_SETTLE_SECONDS = 0.25


@dataclass
class OutsideApps:
    """Stand-in instances in a process of their own."""

    ports: dict[str, list[int]]
    server: Server

    def toml(self) -> str:
        """The colours' tables of a mina-ops.toml."""
        tables = []
        for name, ports in self.ports.items():
            listed = ", ".join(f'"{i}" = "127.0.0.1:{port}"' for i, port in enumerate(ports))
            url = f"http://127.0.0.1:{ports[0]}"
            tables.append(f'[colours.{name}]\nurl = "{url}"\ninstances = {{ {listed} }}\n')
        return "\n".join(tables)

    def arrivals(self, colour: str) -> list[float]:
        """When requests reached a colour, in order."""
        found: list[float] = []
        for port in self.ports[colour]:
            url = f"http://127.0.0.1:{port}/api/metrics/arrivals"
            with urllib.request.urlopen(url, timeout=10) as response:
                found += json.load(response)
        return sorted(found)


@contextmanager
def outside_apps(folder: Path, each: int = 2) -> Iterator[OutsideApps]:
    """So many instances of each colour."""
    free = free_ports(2 * each)
    ports = {"blue": free[:each], "green": free[each:]}
    argv = [sys.executable, "-m", "tests.operator.stand_in"]
    argv += [f"{n}.{i}:{port}" for n, row in ports.items() for i, port in enumerate(row)]
    environment = {"PYTHONPATH": str(HERE.parents[1])}
    with start("stand_in", argv, folder, port=free[-1], environment=environment) as server:
        yield OutsideApps(ports, server)


@contextmanager
def load_on(port: int, counts: dict[str, int]) -> Iterator[None]:
    """Load while the block runs; the client's counts are added to `counts`."""
    argv = [sys.executable, str(HERE / "_load.py"), str(port), str(CONNECTIONS), str(PAUSE_MS)]
    client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        yield
    finally:
        out, _ = client.communicate()
        for kind, number in json.loads(out).items():
            counts[kind] = counts.get(kind, 0) + number


@dataclass
class Outcome:
    """What came of a series of switches; times in milliseconds."""

    took: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def series(
    apps: OutsideApps, port: int, switch: Callable[[str], None], times: int, settle: float
) -> Outcome:
    """Switch to and fro under load, beginning at blue."""
    outcome = Outcome()
    marks: list[tuple[float, str]] = []
    with load_on(port, outcome.counts):
        for number in range(times):
            old, new = COLOURS[number % 2], COLOURS[1 - number % 2]
            marks.append((time.monotonic(), old))
            switch(new)
            outcome.took.append((time.monotonic() - marks[-1][0]) * 1000)
            time.sleep(settle)
    marks.append((time.monotonic(), ""))
    arrivals = {name: apps.arrivals(name) for name in COLOURS}
    for (began, old), (ended, _) in pairwise(marks):
        row = arrivals[old]
        before_next = bisect_left(row, ended) - 1
        late = before_next >= 0 and row[before_next] > began
        outcome.last.append((row[before_next] - began) * 1000 if late else 0.0)
    return outcome


def note(report: Report, name: str, outcome: Outcome) -> None:
    counts = outcome.counts
    report.figure(f"{name}_switches", len(outcome.took), 0)
    report.figure(f"{name}_requests", counts["requests"], 0)
    report.figure(f"{name}_failed_requests", counts["failed"], 0)
    kinds = {kind: n for kind, n in counts.items() if kind not in ("requests", "failed")}
    if kinds:
        report.say(f"  failures: {kinds}")
    for what, values in (("command_ms", outcome.took), ("last_request_on_old_ms", outcome.last)):
        report.figure(f"{name}_{what}_p50", statistics.median(values))
        report.figure(f"{name}_{what}_p99", _p99(values))
        report.figure(f"{name}_{what}_max", max(values))


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.99 * len(values)))]


def split_to(colour: str) -> Split:
    return Split.all_to(colour, COLOURS)


def moved_back(balancer: Balancer, visitors: int) -> int:
    """How many visitors a growing share took off the colour that they had been given."""
    moved = 0
    on_green: set[int] = set()
    for percent in (0, 10, 25, 50, 75, 100):
        balancer.driver.apply(Split({"blue": 100 - percent, "green": percent}))
        now = {
            n
            for n in range(visitors)
            if balancer.get("/", Cookie=balancer.key(n)).colour == "green"
        }
        moved += len(on_green - now)
        on_green = now
    if len(on_green) != visitors:
        raise AssertionError("100 percent must be everybody")
    balancer.driver.apply(split_to("blue"))
    return moved


def measure_driver(
    report: Report,
    name: str,
    balancing: Callable[[Path, OutsideApps], AbstractContextManager[Balancer]],
    times: int,
    visitors: int,
    latest_ms: float = 50,
) -> None:
    """The driver's switches, then the command line's, then growth.

    Args:
        latest_ms: the last new request on the old colour may come so long after the switch began.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with outside_apps(folder) as apps, balancing(folder, apps) as balancer:

            def switch(colour: str) -> None:
                balancer.driver.apply(split_to(colour))

            outcome = series(apps, balancer.port, switch, times, SETTLE_SECONDS)
            note(report, name, outcome)
            report.goal(f"{name}_failed_requests", outcome.counts["failed"], 0)
            slow = round(_p99(outcome.last), 3)
            report.goal(f"{name}_last_request_on_old_ms_p99", slow, latest_ms)
            if times % 2:
                switch("blue")
            by_hand = series(apps, balancer.port, command_line(balancer), 20, SETTLE_SECONDS)
            note(report, f"{name}_command_line", by_hand)
            report.goal(f"{name}_moved_back", moved_back(balancer, visitors), 0)


def command_line(balancer: Balancer) -> Callable[[str], None]:
    """`mina-ops switch`, as a person runs it: start-up of Python and the health gate included."""
    mina_ops = Path(sys.executable).with_name("mina-ops")

    def switch(colour: str) -> None:
        argv = [str(mina_ops), "--config", str(balancer.toml), "switch"]
        argv += [COLOURS[1 - COLOURS.index(colour)], colour, "--instant"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    return switch


def measure_reload(report: Report, times: int) -> None:
    """The same job by rewriting an upstream and `nginx -s reload`, as the playbook has it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with outside_apps(folder) as apps:
            port, upstream, main = free_port(), folder / "upstream.conf", folder / "nginx.conf"
            site = (
                f"include {upstream};\nserver {{ listen 127.0.0.1:{port};\n"
                "proxy_http_version 1.1; proxy_set_header Connection close;\n"
                "location / { proxy_pass http://mina_backend; } }\n"
            )
            write_upstream(upstream, apps.ports["blue"])
            main.write_text(nginx_configuration(folder, site))
            binary = str(programs.nginx())

            def switch(colour: str) -> None:
                write_upstream(upstream, apps.ports[colour])
                for action in (["-t", "-q"], ["-s", "reload"]):
                    argv = [binary, "-p", str(folder), "-c", str(main), *action]
                    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)

            with start_nginx(folder, main, port=port):
                outcome = series(apps, port, switch, times, RELOAD_SETTLE_SECONDS)
    note(report, "nginx_reload", outcome)
    failed = outcome.counts["failed"]
    report.figure("nginx_reload_failed_requests_per_1000_switches", failed * 1000 / times, 1)


def write_upstream(file: Path, ports: Sequence[int]) -> None:
    servers = "".join(f" server 127.0.0.1:{port} max_fails=0;" for port in ports)
    file.write_text(f"upstream mina_backend {{{servers} }}\n")


def _haproxy() -> Path:
    return programs.installed("haproxy", "Install Debian's haproxy.")


_OTHERS = {
    "haproxy": (haproxy_in_front, _haproxy),
    "envoy": (envoy_in_front, envoy_program),
    "gateway": (gateway_in_front, traefik),
}


def main() -> int:
    """Measure every driver and the reload; 0 if every goal is met."""
    parser = arguments(__doc__)
    parser.add_argument("--switches", type=int, default=1000)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--visitors", type=int, default=1000)
    options = parser.parse_args()
    report = Report(options.json)
    nginx = programs.nginx()
    measure_driver(
        report,
        "nginx",
        lambda folder, apps: nginx_in_front(folder, apps, nginx),
        options.switches,
        options.visitors,
    )
    measure_reload(report, options.reloads)
    for name, (balancing, find) in _OTHERS.items():
        try:
            front = partial(balancing, binary=find())
        except ToolMissing as error:
            report.say(f"{name} is left out: {error}")
            continue
        # A cluster is asked first whether pods are ready, and its controller hears of the change.
        latest = 500 if name == "gateway" else 50
        measure_driver(report, name, front, options.switches, options.visitors, latest)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
