"""What the probes cost, and what they take while a dependency hangs.

First `/api/health/ready` beside a route of a bare Flask app, called through WSGI in one process
and in turn, so that both meet the same machine. Then real hosts under gunicorn: PostgreSQL,
Redis and the AI service are frozen one after the other, and `/api/health` and `/api/health/ready`
are asked over HTTP meanwhile. The eventlet mode is measured where its worker exists
(`.venv-compat`).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from mina_ops import MinaOps
from mina_ops.demo.openai_standin import OpenAIStandIn
from mina_ops.demo.servers import start_redis
from tests.app.health.probing import Probing, frozen, misbehaving
from tests.benchmarks._report import Report, arguments
from tests.support.hosts import Hosts
from tests.support.needs import available_workers
from tests.support.postgres import running_postgres
from tests.support.wait import eventually

HOST_APP = "tests.app.health.health_host:app"
SHARE_LIMIT = 0.2
HUNG_LIMIT_MS = 50.0
QUICK = {"MINA_OPS_HEALTH_INTERVAL": "1", "MINA_OPS_HEALTH_NEEDED": "1", "OPENAI_API_KEY": "k"}


def main() -> int:
    """Measure, report; 0 if every goal was met."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=3000, help="of each route in a round")
    parser.add_argument("--requests", type=int, default=400, help="while each dependency hangs")
    chosen = parser.parse_args()
    report = Report(chosen.json)
    compare(report, chosen.rounds, chosen.calls)
    hang(report, chosen.requests)
    return report.finish()


def compare(report: Report, rounds: int, calls: int) -> None:
    """The ready probe and other answers beside a route of bare Flask, in microseconds."""
    bare = Flask("bare")
    bare.add_url_rule("/", view_func=lambda: "ok")
    host = Flask("host")
    MinaOps(host)
    runtime = host.extensions["mina_ops"]
    eventually(lambda: host.test_client().get("/api/health/ready").status_code == 200)
    apps = {
        "bare_route_us": (bare, "/"),
        "ready_us": (host, "/api/health/ready"),
        "live_us": (host, "/api/health/live"),
        "health_us": (host, "/api/health"),
    }
    timings: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(rounds):
        for name, (app, path) in apps.items():
            timings[name].append(_microseconds(app, path, calls))
    runtime.heartbeat.stop()
    for name, values in timings.items():
        report.figure(name, statistics.median(values))
    shares = [r / b for r, b in zip(timings["ready_us"], timings["bare_route_us"], strict=True)]
    report.goal("ready_of_bare_route", round(statistics.median(shares), 3), SHARE_LIMIT)


def _microseconds(app: Flask, path: str, calls: int) -> float:
    environ = EnvironBuilder(path=path).get_environ()

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        assert status.startswith("200")

    began = time.perf_counter()
    for _ in range(calls):
        body = app(dict(environ), start)
        for _chunk in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return (time.perf_counter() - began) / calls * 1e6


def hang(report: Report, requests: int) -> None:
    """The probes' 99th percentile while each dependency hangs in turn, in each async mode."""
    workers = [w for w in ("gthread", "gevent", "eventlet") if w in available_workers()]
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        postgres = running.enter_context(running_postgres())
        redis = running.enter_context(start_redis(Path(folder) / "redis"))
        standin = running.enter_context(OpenAIStandIn())
        hangs: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "database": lambda: frozen(postgres.server),
            "redis": lambda: frozen(redis),
            "openai": lambda: misbehaving(standin, "hang"),
        }
        environment = {
            **QUICK,
            "DATABASE_URL": postgres.url(),
            "REDIS_URL": redis.url,
            "OPENAI_BASE_URL": standin.base_url,
        }
        hosts = Hosts(Path(folder))
        running.callback(hosts.stop_all)
        for worker in workers:
            host = hosts(HOST_APP, worker=worker, environment=environment)
            eventually(lambda host=host: Probing(host).ask("")[0] == 200, timeout=20)
            for name, freeze in hangs.items():
                with freeze():
                    p99 = _p99_while_hung(host, name, requests)
                report.figure(f"p99_{worker}_{name}_hung_ms", p99)
                report.goal(f"p99_{worker}_{name}_hung", p99, HUNG_LIMIT_MS)
                eventually(lambda host=host: Probing(host).ask("")[0] == 200, timeout=20)
            host.stop()


def _p99_while_hung(host: Any, name: str, requests: int) -> float:
    """Half of the requests fall into the time before the hang is noticed, half after it."""
    probing = Probing(host)
    for number in range(requests // 2):
        probing.ask(("", "/ready")[number % 2])
    eventually(lambda: Probing(host).state(name)[0] == "unhealthy", timeout=20)
    for number in range(requests // 2):
        probing.ask(("", "/ready")[number % 2])
    return round(probing.quantile(0.99) * 1000, 2)


if __name__ == "__main__":
    sys.exit(main())
