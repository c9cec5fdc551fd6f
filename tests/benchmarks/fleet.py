"""What one process costs in a fleet of 10, 100 and 1,000 processes a colour.

Many apps live in this one process, each with the whole extension and a connection of its own to a
real Redis; their beats are called one after the other, as their background loops would call them.
Left out: health checks, which cost the same in any fleet. A second of each app's life is one
beat; between beats each counts `REQUESTS` requests over 200 routes.

The earlier design, in which each process read every report of both colours on each beat, is
measured on the same Redis with the same reports (`old_*`).

Goals (DESIGN 14): commands and bytes of one process's beat at the largest size, relative to those
at 10 processes; the share of one Redis core that the beats of the whole fleet take; a read of the
five-minute window. `--store` runs the same over a Redis with a sentinel, or a Redis Cluster. At the
end of each size Redis is lost and comes back (restarted empty, or a replica in its place): how many
beats it takes until every process sees the whole fleet again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from flask import Flask

from mina_ops import MinaOps
from mina_ops.app.state import keys
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_redis
from mina_ops.errors import StateUnavailable
from tests.benchmarks._report import Report, arguments
from tests.support.redis_cluster import RedisCluster, running_cluster
from tests.support.redis_sentinel import running_sentinel

COLOURS = ("blue", "green")
REQUESTS = 10
ROUTES = 200
# A process takes the summary over after 1.5 beats without news; what it sums up comes a beat later.
MOST_BEATS = 6
COMMANDS = "total_commands_processed"
WAYS = ("total_net_input_bytes", "total_net_output_bytes")
PROCESSOR = ("used_cpu_sys", "used_cpu_user")


@dataclass(frozen=True)
class Cost:
    """What something cost Redis: commands, bytes in and out, seconds of its processor."""

    commands: float
    bytes: float
    seconds: float


@dataclass
class Stored:
    """What keeps the fleet's state.

    Attributes:
        url: what `REDIS_URL` is set to.
        nodes: clients of all that serve it.
        lose: loses the server, and brings another into its place.
    """

    url: str
    nodes: list[Any]
    lose: Callable[[], None]
    asked: int = 0

    @contextmanager
    def cost(self, times: int) -> Iterator[list[Cost]]:
        """What the body costs all nodes together, divided by `times`; known when it has ended."""
        found: list[Cost] = []
        before = self._info()
        yield found
        used = self._info()
        used.subtract(before)
        moved = sum(used[way] for way in WAYS)
        seconds = sum(used[name] for name in PROCESSOR)
        found.append(Cost(used[COMMANDS] / times, moved / times, seconds / times))

    def _info(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for node in self.nodes:
            raw = node.execute_command("INFO")
            said = dict(line.split(":", 1) for line in raw.decode().splitlines() if ":" in line)
            found.update({name: float(said[name]) for name in (*WAYS, *PROCESSOR, COMMANDS)})
            # An answer does not count itself; the one before is taken off.
            found[COMMANDS] -= self.asked
            found[WAYS[1]] -= self.asked * len(raw)
        self.asked += 1
        return found


@contextmanager
def _stored(kind: str, folder: Path) -> Iterator[Stored]:
    with ExitStack() as running:
        if kind == "cluster":
            cluster = running.enter_context(running_cluster(folder, replicated=True))
            servers = cluster.masters
            url, lose = cluster.url, lambda: _fail_over(cluster)
        elif kind == "sentinel":
            pair = running.enter_context(running_sentinel(folder))
            servers = [pair.master]
            url, lose = pair.url, pair.fail_over
        else:
            server = running.enter_context(start_redis(folder))
            servers = [server]
            url, lose = server.url, lambda: _restart(server, folder, running)
        nodes = [running.enter_context(redis.Redis.from_url(node.url)) for node in servers]
        for node in nodes:
            # As it came: what the question itself moved is taken off.
            node.response_callbacks.pop("INFO")
        yield Stored(url, nodes, lose)


def _restart(server: Server, folder: Path, running: ExitStack) -> None:
    server.kill()
    running.enter_context(start_redis(folder, port=server.port))


def _fail_over(cluster: RedisCluster) -> None:
    cluster.masters[0].kill()
    cluster.take_over(0)


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
            beats = [one.beat for one in runtime.components if one.name != "health"]
            for beat in (*beats, runtime.context.presence.beat):
                # As the heartbeat does: the others go on, and this one has another try.
                with suppress(StateUnavailable):
                    beat(time.time())

    def count_requests(self) -> None:
        """`REQUESTS` requests for each process, all routes in turn."""
        for ops in self.members:
            for _ in range(REQUESTS):
                self._number += 1
                route = f"/api/route/{self._number % ROUTES}"
                seconds = 0.01 * (1 + self._number % 97)
                ops.runtime.metrics.durations["GET", route, "200 OK"].append(seconds)

    def beats_take(self, seconds: float) -> None:
        """How long a process's beat is: leases and patience are counted in beats."""
        for ops in self.members:
            ops.runtime.context.presence._summaries._beat_seconds = seconds

    def sees_all(self) -> bool:
        """Whether each process knows of all of both colours."""
        each = len(self.members) // len(COLOURS)
        return all(
            ops.runtime.context.presence.summary(colour).processes == each
            for ops in self.members
            for colour in COLOURS
        )

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


def _beats(fleet: Fleet, stored: Stored, rounds: int, *, busy: bool) -> Cost:
    """The cost of one beat of one process, averaged over the fleet."""
    with stored.cost(len(fleet) * rounds) as costs:
        for _ in range(rounds):
            if busy:
                fleet.count_requests()
            fleet.beat()
    return costs[0]


def _beats_until_seen(fleet: Fleet) -> int:
    """After a loss: beats of everybody until everybody is known to all again."""
    began = time.monotonic()
    fleet.beat()
    # From here on a round of all counts as one beat, as it would if each had a machine.
    fleet.beats_take(time.monotonic() - began)
    for beats in range(2, MOST_BEATS):
        fleet.beat()
        if fleet.sees_all():
            return beats
    return MOST_BEATS


def _old_beat(stored: Stored, a_colour: int, rounds: int) -> Cost:
    """The earlier design: each process announces itself and reads everybody."""
    (client,) = stored.nodes
    report = json.dumps({"instance": "0", "version": "v2.5.0", "said": "x" * 700}).encode()
    for colour in COLOURS:
        for number in range(a_colour):
            client.set(f"old:{colour}:{number}", report)
            client.zadd(f"old:{colour}", {str(number): number})
    with stored.cost(rounds) as costs:
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
    return costs[0]


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


def measure(report: Report, kind: str, size: int, rounds: int) -> Cost:
    """Measure one size against a store of its own; the cost of one process's beat at rest."""
    with tempfile.TemporaryDirectory() as folder, _stored(kind, Path(folder)) as stored:
        fleet = Fleet(stored.url, size)
        try:
            for _ in range(3):
                fleet.beat()
            costs = {"idle": _beats(fleet, stored, rounds, busy=False)}
            costs["busy"] = _beats(fleet, stored, rounds, busy=True)
            if kind == "redis":
                costs["old"] = _old_beat(stored, size, rounds)
                report.figure(f"window_read_ms_{size}", _window_read(stored.nodes[0]), 2)
            stored.lose()
            report.figure(f"beats_until_all_are_seen_{size}", _beats_until_seen(fleet), 0)
        finally:
            fleet.close()
    for name, cost in costs.items():
        report.figure(f"{name}_beat_commands_{size}", cost.commands, 2)
        report.figure(f"{name}_beat_bytes_{size}", cost.bytes, 0)
        share = cost.seconds * size * len(COLOURS) * 100
        report.figure(f"{name}_redis_core_percent_{size}", share, 2)
    return costs["idle"]


def main() -> int:
    parser: argparse.ArgumentParser = arguments(__doc__)
    parser.add_argument("--sizes", default="10,100,1000", help="processes a colour")
    parser.add_argument("--rounds", type=int, default=3, help="beats that are averaged")
    parser.add_argument("--store", choices=("redis", "sentinel", "cluster"), default="redis")
    options = parser.parse_args()
    report = Report(options.json)
    sizes = [int(size) for size in options.sizes.split(",")]
    idle = {size: measure(report, options.store, size, options.rounds) for size in sizes}
    small, large = idle[sizes[0]], idle[sizes[-1]]
    report.goal("beat_commands_growth", round(large.commands / small.commands, 3), 1.5)
    report.goal("beat_bytes_growth", round(large.bytes / small.bytes, 3), 1.5)
    fleet_share = large.seconds * sizes[-1] * len(COLOURS) * 100
    report.goal("redis_core_percent_of_fleet", round(fleet_share, 2), 20.0)
    if options.store == "redis":
        report.goal("window_read_ms", report.figures[f"window_read_ms_{sizes[-1]}"], 50.0)
    seen = max(report.figures[f"beats_until_all_are_seen_{size}"] for size in sizes)
    report.goal("beats_until_all_are_seen", seen, MOST_BEATS - 1)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
