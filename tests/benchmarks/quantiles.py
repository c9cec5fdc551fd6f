"""How far off merged quantiles are: 8 processes, one Redis, one answer.

Each process records its own slice of heavy-tailed durations, one of them of slow requests alone,
through the recorder and the shared store that hosts use, and dies. Another process then asks for
the merged figures. Beside it: Prometheus' default buckets, summed over the processes and
interpolated as `histogram_quantile` does. Goal: at most 1 % at each of p50 to p99.9.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Histogram

from mina_ops.app.metrics import fields
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.metrics.histogram import quantile
from mina_ops.app.metrics.outcomes import OutcomeEvents
from mina_ops.demo.servers import start_redis
from tests.benchmarks._report import Report, arguments
from tests.support.context import context_of

PROCESSES = 8
SAMPLES = 25_000  # of each process
SECONDS = 5  # over which a process stores them
GOAL_PERCENT = 1.0
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}


def durations(process: int) -> list[float]:
    """What one process takes: lognormal, 0.5 % of 5 to 60 s; the last process is slow."""
    chance = random.Random(process)
    middle = -1.0 if process == PROCESSES - 1 else -3.0
    return [
        chance.uniform(5, 60) if chance.random() < 0.005 else chance.lognormvariate(middle, 0.8)
        for _ in range(SAMPLES)
    ]


def metrics_of(redis_url: str) -> Metrics:
    """The metrics of a process of the colour blue, without its web app."""
    context = context_of(ENVIRONMENT="blue", REDIS_URL=redis_url, MINA_OPS_REQUEST_LOG=False)
    return Metrics(context, OutcomeEvents())


def record(process: int, redis_url: str, now: float) -> None:
    """The life of one process: it counts, stores each second, and ends."""
    metrics = metrics_of(redis_url)
    waiting = metrics.durations["GET", "/api/sessions", "200 OK"]
    for second in range(SECONDS):
        waiting.extend(durations(process)[second::SECONDS])
        metrics.flush(now - SECONDS + second)


def merged(redis_url: str) -> tuple[dict[int, float], float]:
    """Bucket -> count over all processes, and the milliseconds that reading it took."""
    metrics = metrics_of(redis_url)
    began = time.perf_counter()
    view = metrics.figures.window("blue", 300)
    return fields.durations(view.amounts), (time.perf_counter() - began) * 1000


def interpolated(samples: Sequence[float], q: float) -> float:
    """The quantile that Prometheus makes of its client's default buckets."""
    bounds = [bound for bound in Histogram.DEFAULT_BUCKETS if bound != float("inf")]
    counts = [0] * (len(bounds) + 1)
    for seconds in samples:
        counts[bisect_left(bounds, seconds)] += 1
    rank = q * len(samples)
    for index, seen in enumerate(itertools.accumulate(counts)):
        if seen >= rank and index < len(bounds):
            lower = bounds[index - 1] if index else 0.0
            share = (rank - (seen - counts[index])) / counts[index]
            return lower + (bounds[index] - lower) * share
    return bounds[-1]


def main() -> int:
    """Measure, report, and say whether the goal is met."""
    report = Report(arguments(__doc__).parse_args().json)
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        start_redis(Path(folder)) as server,
    ):
        now = time.time()
        started = [
            spawn.Process(target=record, args=(number, server.url, now))
            for number in range(PROCESSES)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join()
        counts, milliseconds = merged(server.url)
    samples = sorted(itertools.chain.from_iterable(map(durations, range(PROCESSES))))
    report.figure("processes", PROCESSES)
    report.figure("samples", sum(counts.values()), 0)
    report.figure("samples_lost", len(samples) - sum(counts.values()), 0)
    report.figure("merged_read_ms", milliseconds)
    worst = 0.0
    for name, q in QUANTILES.items():
        exact = samples[int(q * (len(samples) - 1))]
        error = abs((quantile(counts, q) or 0.0) - exact) / exact * 100
        beside = abs(interpolated(samples, q) - exact) / exact * 100
        report.figure(f"{name}_exact_ms", exact * 1000)
        report.figure(f"{name}_error_percent", error)
        report.figure(f"{name}_prometheus_default_buckets_error_percent", beside)
        worst = max(worst, error)
    report.goal("worst_error_percent", round(worst, 4), GOAL_PERCENT)
    lost = len(samples) - sum(counts.values())
    report.goal("samples_lost", abs(lost), 0)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
