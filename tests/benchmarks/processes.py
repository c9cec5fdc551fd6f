"""Real processes in numbers: how they start, are drained and confirm, 300 of them beside four.

    python -m tests.benchmarks.processes --json
    python -m tests.benchmarks.processes --json --sizes 500 --only start

Each process is a worker of gunicorn (gthread, forked from a loaded app) with the whole extension,
a real Redis, a real PostgreSQL with its usual 100 connections, and a stand-in for the AI service.
Half of them are blue. "Start" is from the first process to the moment when each colour knows all
of its own; what that asks of Redis, the database and the AI service is counted meanwhile and for
`SETTLE_SECONDS` after it. Then blue is drained, with a few websocket sessions that go to green,
and a flag is turned off with confirmation.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import redis

from mina_ops.demo import programs
from mina_ops.demo.openai_standin import OpenAIStandIn
from mina_ops.demo.servers import start_redis
from tests.app.drain.fleet import Clients, Colour, Fleet
from tests.benchmarks._crowd import raise_file_limit
from tests.benchmarks._report import Report, arguments
from tests.support.hosts import Hosts
from tests.support.postgres import running_postgres
from tests.support.wait import eventually

HOST_APP = "tests.benchmarks._tiny_host:app"
FIRST_REQUEST = Path(__file__).with_name("_first_request.py")
SIZES = (4, 300)
SESSIONS = 40
GRACE_SECONDS = 10.0
SETTLE_SECONDS = 20.0
START_SECONDS = 120.0
CONFIRM_SECONDS = 30.0
# A drain and a confirmation of hundreds beside four: as beats and processors go, not as numbers.
MOST_DRAIN_SECONDS_MORE = 5.0
MOST_CONFIRM_SECONDS = 5.0
# Of PostgreSQL's 100, most are the host's own. Each colour has four turns.
MOST_DATABASE_CONNECTIONS = 20
# A colour has four turns while nobody knows how many they are; later all ask as eight would.
AI_INTERVAL_SECONDS = 15.0
MOST_AI_CALLS_AN_INTERVAL = 16.0
# One that listens, one for all else; where the processors are busy a third may be opened.
MOST_REDIS_CONNECTIONS_A_PROCESS = 3.0


class CountingStandIn(OpenAIStandIn):
    """Counts each call, to any path."""

    calls = 0

    def admit(self, path: str) -> int:
        """As the base does."""
        self.calls += 1
        return super().admit(path)


class Watch:
    """What a fleet asks of what it shares, looked at ten times a second."""

    def __init__(self, redis_url: str, database: str, standin: CountingStandIn) -> None:
        self._redis = redis.Redis.from_url(redis_url)
        self._database, self._standin = database, standin
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most_database_connections = 0
        self.most_commands_a_second = 0.0
        self.most_redis_connections = 0
        self.ai_calls = 0
        self.commands = 0
        self.intervals = 0.0

    def __enter__(self) -> Watch:
        self._began = time.monotonic()
        self.commands, self.ai_calls = self._said("total_commands_processed"), self._standin.calls
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(10)
        self.commands = self._said("total_commands_processed") - self.commands
        self.ai_calls = self._standin.calls - self.ai_calls
        # One that has begun counts.
        self.intervals = 1 + (time.monotonic() - self._began) / AI_INTERVAL_SECONDS
        self._redis.close()

    def _said(self, key: str) -> int:
        return int(self._redis.info()[key])

    def _look(self) -> None:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        before, at = self._said("total_commands_processed"), time.monotonic()
        with psycopg.connect(self._database, autocommit=True) as connection:
            while not self._over.wait(0.1):
                (number,) = connection.execute(sql).fetchone() or (0,)
                # Without the one that asks.
                self.most_database_connections = max(self.most_database_connections, number - 1)
                now, commands = time.monotonic(), self._said("total_commands_processed")
                rate = (commands - before) / (now - at)
                before, at = commands, now
                self.most_commands_a_second = max(self.most_commands_a_second, rate)
                clients = self._said("connected_clients")
                self.most_redis_connections = max(self.most_redis_connections, clients)


def main() -> int:
    """Measure each size; 0 if every goal was met."""
    options = arguments(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--sizes", default=",".join(map(str, SIZES)), help="processes in all")
    options.add_argument("--only", choices=["start"], help="start them, and nothing more")
    given = options.parse_args()
    raise_file_limit()
    report = Report(given.json)
    for size in (int(size) for size in given.sizes.split(",")):
        with _shared() as (folder, redis_url, database, standin):
            _measure(report, size, given, folder, redis_url, database, standin)
    _compare(report)
    return report.finish()


@contextmanager
def _shared() -> Iterator[tuple[Path, str, str, CountingStandIn]]:
    """What a fleet shares: a folder, Redis, a database by its URL for psycopg, the AI service."""
    with ExitStack() as running:
        place = running.enter_context(tempfile.TemporaryDirectory(prefix="mina-processes-"))
        server = running.enter_context(start_redis(Path(place) / "redis"))
        postgres = running.enter_context(running_postgres())
        standin = running.enter_context(CountingStandIn())
        yield Path(place), server.url, postgres.new_database(), standin


def _measure(
    report: Report,
    size: int,
    given: Namespace,
    folder: Path,
    redis_url: str,
    database: str,
    standin: CountingStandIn,
) -> None:
    report.say(f"{size} processes")
    environment = {
        "DATABASE_URL": database,
        "OPENAI_API_KEY": "of a benchmark",
        "OPENAI_BASE_URL": standin.base_url,
        "MINA_OPS_REDIS_TIMEOUT": "0.2",
    }
    workers = ["--preload", "--workers", str(size // 2), "--backlog", "4096"]
    workers += ["--config", str(FIRST_REQUEST)]
    hosts = Hosts(folder / "hosts")
    plain = database.replace("+psycopg", "")
    try:
        with Watch(redis_url, plain, standin) as watch:
            began = time.monotonic()
            fleet = Fleet(
                hosts,
                folder / "nginx",
                redis_url,
                worker="gthread",
                threads=SESSIONS + 20,
                environment=environment,
                options=workers,
                app=HOST_APP,
            )
            with fleet:
                colours = (fleet.blue, fleet.green)
                for colour in colours:
                    eventually(partial(_is_whole, colour, size // 2), START_SECONDS, interval=0.25)
                report.figure(f"start_seconds_{size}", time.monotonic() - began, 1)
                _all_ready(report, size, colours)
                report.figure(f"memory_mb_a_process_{size}", _memory(colours, size), 1)
                time.sleep(SETTLE_SECONDS)
                if given.only != "start":
                    _drain(report, size, fleet)
                    _confirm(report, size, fleet.green)
    finally:
        hosts.stop_all()
    report.figure(f"redis_commands_{size}", watch.commands, 0)
    report.figure(f"redis_most_commands_a_second_{size}", watch.most_commands_a_second, 0)
    report.figure(f"redis_most_connections_{size}", watch.most_redis_connections, 0)
    report.figure(f"ai_calls_{size}", watch.ai_calls, 0)
    # Without this benchmark's own.
    each = (watch.most_redis_connections - 1) / size
    goals = {
        "database_most_connections": (watch.most_database_connections, MOST_DATABASE_CONNECTIONS),
        "ai_calls_an_interval": (watch.ai_calls / watch.intervals, MOST_AI_CALLS_AN_INTERVAL),
        "redis_connections_a_process": (each, MOST_REDIS_CONNECTIONS_A_PROCESS),
    }
    for name, (value, limit) in goals.items():
        report.goal(f"{name}_{size}", round(value, 2), limit)


def _is_whole(colour: Colour, number: int) -> bool:
    answer = colour.http.get("/api/metrics/connections").raise_for_status()
    return int(answer.json()["reporters"]) == number


def _all_ready(report: Report, size: int, colours: tuple[Colour, ...]) -> None:
    """Each of many answers, from whichever process, says that it is ready."""

    def ready(colour: Colour) -> bool:
        answers = [httpx.get(f"{colour.server.url}/api/health/ready", timeout=10) for _ in "12345"]
        unready = [answer.json() for answer in answers if answer.status_code != 200]
        if unready:
            report.say(f"{colour.name} is not ready: {unready[0]}")
        return not unready

    began = time.monotonic()
    eventually(lambda: all(map(ready, colours)), 60, "not ready")
    report.figure(f"ready_after_seconds_{size}", time.monotonic() - began, 1)


def _memory(colours: tuple[Colour, ...], size: int) -> float:
    """MB of its own that a worker takes, which it does not share with the one that forked it."""
    workers = [child for one in colours for child in psutil.Process(one.server.pid).children()]
    return float(sum(worker.memory_full_info().uss for worker in workers) / size / 2**20)


def _drain(report: Report, size: int, fleet: Fleet) -> None:
    argv: dict[str, Any] = {"clients": SESSIONS, "transports": [["websocket"]]}
    with Clients.start(programs.node(), fleet.proxy.url, **argv) as clients:
        clients.wait_for(60, connected=SESSIONS, colours={"blue": SESSIONS})
        began = time.monotonic()
        fleet.blue.drain(grace_seconds=GRACE_SECONDS)
        status = fleet.blue.wait_until_drained(GRACE_SECONDS + 60)
        report.figure(f"drain_seconds_{size}", time.monotonic() - began, 1)
        clients.wait_for(60, connected=SESSIONS, colours={"green": SESSIONS})
    report.figure(f"drain_forced_{size}", status["forced"], 0)


def _confirm(report: Report, size: int, green: Colour) -> None:
    """A kill that every process of both colours has applied."""

    def change(enabled: bool) -> dict[str, Any]:
        body = {"key": "audio", "enabled": enabled, "confirm_seconds": CONFIRM_SECONDS}
        answer = green.http.post("/admin/flags", json=body, timeout=CONFIRM_SECONDS + 10)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    change(True)
    began = time.monotonic()
    found = change(False)
    report.figure(f"confirm_seconds_{size}", time.monotonic() - began, 2)
    report.figure(f"confirm_waiting_for_{size}", len(found["waiting_for"]), 0)


def _compare(report: Report) -> None:
    """The largest fleet beside the smallest."""
    drains = [v for k, v in report.figures.items() if k.startswith("drain_seconds_")]
    confirms = [v for k, v in report.figures.items() if k.startswith("confirm_seconds_")]
    if len(drains) > 1:
        more = round(drains[-1] - drains[0], 1)
        report.goal("drain_seconds_more_than_smallest", more, MOST_DRAIN_SECONDS_MORE)
    if confirms:
        report.goal("confirm_seconds_of_largest", confirms[-1], MOST_CONFIRM_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
