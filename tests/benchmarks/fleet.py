"""What one process costs in a fleet of 10, 100 and 1,000 processes a colour.

Many apps live in this one process, each with the whole extension and a connection of its own to a
real Redis; their beats are called one after the other, as their background loops would call them.
Left out: health checks, which cost the same in any fleet. A second of each app's life is one
beat; between beats each counts `REQUESTS` requests over 200 routes.

The earlier design, in which each process read every report of both colours on each beat, is
measured on the same Redis with the same reports (`old_*`).

Goals (DESIGN 14): commands and bytes of one process's beat at the largest size, relative to those
at 10 processes; the share of one Redis core that the beats of the whole fleet take; a read of the
five-minute window.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from flask import Flask

from mina_ops import MinaOps
from mina_ops.app.state import keys
from mina_ops.demo.servers import start_redis
from tests.benchmarks._report import Report, arguments

COLOURS = ("blue", "green")
REQUESTS = 10
ROUTES = 200


@dataclass(frozen=True)
class Cost:
    """What something cost Redis: commands, bytes in and out, seconds of its processor."""

    commands: float
    bytes: float
    seconds: float

    def each(self, processes: int) -> Cost:
        """The share of one process."""
        return Cost(self.commands / processes, self.bytes / processes, self.seconds / processes)


class Fleet:
    """Apps of both colours against one Redis."""

    def __init__(self, url: str, a_colour: int) -> None:
        self.members = [_member(url, colour, n) for n in range(a_colour) for colour in COLOURS]
        self._number = 0

    def __len__(self) -> int:
        return len(self.members)

    def beat(self) -> None:
        """One beat of everybody, features first, as the heartbeat does."""
        for ops in self.members:
            runtime = ops.runtime
            for component in runtime.components:
                if component.name != "health":
                    component.beat(time.time())
            runtime.context.presence.beat(time.time())

    def count_requests(self) -> None:
        """`REQUESTS` requests for each process, all routes in turn."""
        for ops in self.members:
            for _ in range(REQUESTS):
                self._number += 1
                route = f"/api/route/{self._number % ROUTES}"
                seconds = 0.01 * (1 + self._number % 97)
                ops.runtime.metrics.durations["GET", route, "200 OK"].append(seconds)

    def close(self) -> None:
        for ops in self.members:
            ops.runtime.close()


def _member(url: str, colour: str, number: int) -> MinaOps:
    app = Flask(f"{colour}-{number}")
    app.config.update(
        ENVIRONMENT=colour,
        APP_VERSION="v2.5.0",
        REDIS_URL=url,
        MINA_OPS_INSTANCE=str(number),
        MINA_OPS_REDIS_TIMEOUT=2.0,
        MINA_OPS_PRESENCE_TTL=60.0,
    )
    ops = MinaOps(app)
    # A round over all simulated processes lasts longer than a beat; leases must not lapse for that.
    ops.runtime.context.presence._summaries._beat_seconds = 120.0
    # Whoever asks for readiness gives the first checks 30 ms; here none ever begins.
    ops.runtime.health.registry.started = True
    return ops


@contextmanager
def _cost_of(client: Any, costs: list[Cost]) -> Iterator[None]:
    before = client.info()
    yield
    after = client.info()
    moved = sum(after[f"total_net_{way}_bytes"] - before[f"total_net_{way}_bytes"] for way in WAYS)
    used = sum(after[name] - before[name] for name in ("used_cpu_sys", "used_cpu_user"))
    commands = after["total_commands_processed"] - before["total_commands_processed"] - 1
    costs.append(Cost(commands, moved - len(str(before)), used))


WAYS = ("input", "output")


def _beats(fleet: Fleet, client: Any, rounds: int, *, busy: bool) -> Cost:
    """The cost of one beat of one process, averaged over the fleet."""
    costs: list[Cost] = []
    for _ in range(rounds):
        if busy:
            fleet.count_requests()
        with _cost_of(client, costs):
            fleet.beat()
    total = Cost(*(sum(getattr(c, name) for c in costs) / rounds for name in Cost.__annotations__))
    return total.each(len(fleet))


def _old_beat(client: Any, a_colour: int, rounds: int) -> Cost:
    """The earlier design: each process announces itself and reads everybody."""
    report = json.dumps({"instance": "0", "version": "v2.5.0", "said": "x" * 700}).encode()
    for colour in COLOURS:
        for number in range(a_colour):
            client.set(f"old:{colour}:{number}", report)
            client.zadd(f"old:{colour}", {str(number): number})
    costs: list[Cost] = []
    with _cost_of(client, costs):
        for _ in range(rounds):
            pipe = client.pipeline(transaction=False)
            pipe.set("old:blue:0", report, px=60_000)
            pipe.zadd("old:blue", {"0": 0})
            pipe.zremrangebyscore("old:blue", -1, -1)
            pipe.expire("old:blue", 86_400)
            pipe.execute()
            for colour in COLOURS:
                names = client.zrange(f"old:{colour}", 0, -1)
                pipe = client.pipeline(transaction=False)
                for name in names:
                    pipe.get(f"old:{colour}:{name.decode()}")
                pipe.execute()
    return costs[0].each(rounds)


def _window_read(client: Any, rounds: int = 20) -> float:
    """Milliseconds that a read of the five-minute window takes, slices full as they get."""
    now = int(time.time())
    fields = {f"d:{number}": 1 for number in range(600)}
    names = [keys.metrics_slice("blue", now - now % 10 - 10 * n, 10) for n in range(31)]
    for name in names:
        client.zadd(name, fields)
    began = time.perf_counter()
    for _ in range(rounds):
        client.zunion(names, aggregate="SUM", withscores=True)
    return (time.perf_counter() - began) / rounds * 1000


def measure(report: Report, sizes: list[int], rounds: int) -> None:
    """Measure each size against a Redis of its own."""
    idle: dict[int, Cost] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, start_redis(Path(folder)) as server:
            client = redis.Redis.from_url(server.url)
            fleet = Fleet(server.url, size)
            try:
                for _ in range(3):
                    fleet.beat()
                idle[size] = _beats(fleet, client, rounds, busy=False)
                busy = _beats(fleet, client, rounds, busy=True)
                old = _old_beat(client, size, rounds)
                window = _window_read(client)
            finally:
                fleet.close()
                client.close()
        for name, cost in (("idle", idle[size]), ("busy", busy), ("old", old)):
            report.figure(f"{name}_beat_commands_{size}", cost.commands, 2)
            report.figure(f"{name}_beat_bytes_{size}", cost.bytes, 0)
            share = cost.seconds * size * len(COLOURS) * 100
            report.figure(f"{name}_redis_core_percent_{size}", share, 2)
        report.figure(f"window_read_ms_{size}", window, 2)
    small, large = idle[sizes[0]], idle[sizes[-1]]
    report.goal("beat_commands_growth", round(large.commands / small.commands, 3), 1.5)
    report.goal("beat_bytes_growth", round(large.bytes / small.bytes, 3), 1.5)
    fleet_share = large.seconds * sizes[-1] * len(COLOURS) * 100
    report.goal("redis_core_percent_of_fleet", round(fleet_share, 2), 20.0)
    report.goal("window_read_ms", report.figures[f"window_read_ms_{sizes[-1]}"], 50.0)


def main() -> int:
    parser: argparse.ArgumentParser = arguments(__doc__)
    parser.add_argument("--sizes", default="10,100,1000", help="processes a colour")
    parser.add_argument("--rounds", type=int, default=3, help="beats that are averaged")
    options = parser.parse_args()
    report = Report(options.json)
    measure(report, [int(size) for size in options.sizes.split(",")], options.rounds)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
