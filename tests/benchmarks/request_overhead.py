"""What mina_ops adds to a request, beside what others add that measure requests.

One Flask app with one route is wrapped in different ways. In each round every variant serves
some requests, in random order; a round's figure is a variant's time less that of the bare app, and
the median over all rounds counts. Time is the thread's own, so that other programs on the
machine disturb it little. Goals: at most 5 % of the bare route with the request log off, and 10 %
with it. What is done later, beside requests, is shown on its own: to fold and store figures, and to
write lines.
"""

from __future__ import annotations

import gc
import logging
import random
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from time import thread_time, time
from typing import Any

from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.test import EnvironBuilder

from mina_ops import MinaOps
from mina_ops.app.metrics.request_log import LOGGER, RequestLog
from tests.benchmarks._report import Report, arguments

GOAL_LOG_OFF, GOAL_LOG_ON = 0.05, 0.10  # of a bare route
ROUNDS = 400
REQUESTS = 64  # of each variant in a round
STORED = 500  # requests of one beat

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def bare() -> Flask:
    """The app of all variants."""
    app = Flask(__name__)

    @app.get("/api/sessions/<int:number>")
    def session(number: int) -> str:
        return "a session"

    return app


def with_mina_ops(request_log: bool) -> Flask:
    """All of mina_ops, as a host gets it."""
    app = bare()
    app.config.update(MINA_OPS_REQUEST_LOG=request_log)
    MinaOps(app)
    return app


def with_prometheus_flask_exporter() -> Flask:
    """Its default: one histogram and one counter by method, path and status."""
    app = bare()
    PrometheusMetrics(app, registry=CollectorRegistry())
    return app


def with_opentelemetry() -> Flask:
    """Its stable HTTP metrics, read in memory; spans go nowhere."""
    app = bare()
    meters = MeterProvider([InMemoryMetricReader()])
    FlaskInstrumentor().instrument_app(app, meter_provider=meters)
    return app


def seconds(app: Flask, environ: dict[str, Any], requests: int) -> float:
    """How long `requests` requests take, each from the call to the close of its response."""
    serve: WSGIApp = app.wsgi_app
    began = thread_time()
    for _ in range(requests):
        body = serve(dict(environ), _start)
        for _chunk in body:
            pass
        body.close()  # type: ignore[attr-defined]
    return thread_time() - began


def beside(app: Flask, environ: dict[str, Any]) -> float:
    """Microseconds that the heartbeat spends for each request, folding and storing a beat's."""
    spent = []
    for _ in range(50):
        seconds(app, environ, STORED)
        began = thread_time()
        app.extensions["mina_ops"].metrics.flush(time())
        spent.append((thread_time() - began) / STORED * 1e6)
    return statistics.median(spent)


def writing(environ: dict[str, Any]) -> float:
    """Microseconds that the writer of the request log spends for each line."""
    log = RequestLog()
    for _ in range(STORED):
        log(environ)
    began = thread_time()
    log.write()
    spent = (thread_time() - began) / STORED * 1e6
    log.close()
    return spent


def _start(status: str, headers: Any, exc_info: Any = None) -> None:
    pass


def measure(variants: dict[str, Flask], environ: dict[str, Any]) -> dict[str, list[float]]:
    """Microseconds a request, round by round, of each variant."""
    names = list(variants)
    for app in variants.values():
        seconds(app, environ, 2000)
    gc.collect()
    gc.freeze()
    rounds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        random.shuffle(names)
        for name in names:
            rounds[name].append(seconds(variants[name], environ, REQUESTS) / REQUESTS * 1e6)
    return rounds


def main() -> int:
    """Measure, report, and say whether the goal is met."""
    report = Report(arguments(__doc__).parse_args().json)
    with Path("/dev/null").open("w") as nowhere:
        log = logging.getLogger(LOGGER)
        log.addHandler(logging.StreamHandler(nowhere))
        log.propagate = False
        log.setLevel(logging.INFO)
        apps = {
            "bare_flask": bare(),
            "mina_ops": with_mina_ops(request_log=False),
            "mina_ops_with_request_log": with_mina_ops(request_log=True),
            "prometheus_flask_exporter": with_prometheus_flask_exporter(),
            "opentelemetry_flask": with_opentelemetry(),
        }
        environ = EnvironBuilder("/api/sessions/5").get_environ()
        rounds = measure(apps, environ)
        later = beside(apps["mina_ops"], environ)
        line = writing(environ)
    base = rounds.pop("bare_flask")
    report.figure("bare_flask_us_per_request", statistics.median(base))
    added = {
        name: statistics.median(spent - least for spent, least in zip(times, base, strict=True))
        for name, times in rounds.items()
    }
    for name, microseconds in added.items():
        report.figure(f"{name}_added_us_per_request", microseconds)
    request_log = added["mina_ops_with_request_log"] - added["mina_ops"]
    report.figure("request_log_added_us_per_request", request_log)
    report.figure("mina_ops_beside_requests_us_per_request", later)
    report.figure("request_log_beside_requests_us_per_request", line)
    whole = statistics.median(base)
    off, on = added["mina_ops"] / whole, added["mina_ops_with_request_log"] / whole
    report.goal("log_off_share_of_bare_route", round(off, 4), GOAL_LOG_OFF)
    report.goal("log_on_share_of_bare_route", round(on, 4), GOAL_LOG_ON)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
