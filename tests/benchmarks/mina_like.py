#!/usr/bin/env python3
"""A host with everything of the real Mina in it, used for minutes while its workers are recycled.

    .venv-compat/bin/python -m tests.benchmarks.mina_like [--minutes 10] [--sessions 100] [--json]

The same host runs bare and with mina_ops, at the same time and on the same machine, each with its
own sessions, pages and probes. Its pins are Mina's where this environment has eventlet, else gevent
stands in, which the figures say.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_gunicorn, start_redis
from tests.benchmarks._report import Report, arguments
from tests.support.hosts import REPOSITORY
from tests.support.needs import available_workers
from tests.support.postgres import running_postgres

APP = "tests.benchmarks._mina_host:serve()"
MAX_REQUESTS = 200
LEAST_RECYCLED = 3


@dataclass(frozen=True)
class Outcome:
    """What became of one host's users, and how often one of its workers was replaced."""

    counts: dict[str, Any]
    recycled: int

    def of(self, name: str) -> int:
        """How often something happened."""
        return int(self.counts.get(name, 0))


@contextmanager
def host(folder: Path, environment: dict[str, str], worker: str, ready: str) -> Iterator[Server]:
    """The host under gunicorn with two workers."""
    folder.mkdir()
    with start_gunicorn(
        folder,
        APP,
        worker_class=worker,
        workers=2,
        environment={**environment, "ASYNC_MODE": worker, "LOG_FILE": str(folder / "debug.log")},
        import_from=REPOSITORY,
        options=["--max-requests", str(MAX_REQUESTS)],
        ready_path=ready,
    ) as server:
        yield server


def crowd(url: str, sessions: int) -> subprocess.Popen[str]:
    """Users of a host, until their standard input is closed."""
    argv = [sys.executable, "-m", "tests.benchmarks._sessions", url, str(sessions)]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True)


def recycled(log: Path) -> int:
    """How many workers were started beyond the first two."""
    return log.read_text(errors="replace").count("Booting worker with pid") - 2


def run(minutes: float, sessions: int, worker: str) -> tuple[Outcome, Outcome]:
    """The bare host's outcome, and ours."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "redis").mkdir()
        redis = stack.enter_context(start_redis(folder / "redis"))
        postgres = stack.enter_context(running_postgres())
        common = {"REDIS_URL": redis.url, "ENVIRONMENT": "blue", "APP_VERSION": "v2.5.0"}
        both = []
        for kind, ready in (("bare", "/"), ("ours", "/api/health/ready")):
            url = postgres.new_database().replace("+psycopg", "+psycopg2")
            variables = {**common, "DATABASE_URL": url, "BARE": str(int(kind == "bare"))}
            server = stack.enter_context(host(folder / kind, variables, worker, ready))
            both.append((server, crowd(server.url, sessions)))
        time.sleep(minutes * 60)
        told = [json.loads(users.communicate(timeout=100)[0] or "{}") for _, users in both]
        found = [
            Outcome(counts, recycled(server.log))
            for counts, (server, _) in zip(told, both, strict=True)
        ]
    return found[0], found[1]


def main() -> int:
    """Measure, and judge ours by the bare host."""
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--sessions", type=int, default=100)
    options = parser.parse_args()
    report = Report(options.json)
    worker = "eventlet" if "eventlet" in available_workers() else "gevent"
    report.say(f"{options.minutes:g} minutes under {worker}, {options.sessions} sessions a host")
    bare, ours = run(options.minutes, options.sessions, worker)
    for kind, outcome in (("bare", bare), ("ours", ours)):
        report.figure(f"{kind}_recycled_workers", outcome.recycled, 0)
        for name in sorted(outcome.counts):
            report.figure(f"{kind}_{name}", outcome.counts[name])
    report.goal("failed_pages_beyond_bare", ours.of("pages_failed"), bare.of("pages_failed"))
    report.goal("sessions_lost_at_the_end", options.sessions - ours.of("connected_at_end"), 0)
    # Two workers that are recycled at once leave nobody who answers; bare, for gunicorn's whole
    # graceful timeout.
    gap = float(bare.counts.get("slowest_page_seconds", 0))
    report.goal("longest_unready_seconds", ours.counts.get("longest_unready_seconds"), gap)
    report.goal("recycled_at_least_three_times", LEAST_RECYCLED - ours.recycled, 0)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
