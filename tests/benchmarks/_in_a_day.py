"""What becomes of healthy and of bad releases in the course of a day; see `_day`."""

from __future__ import annotations

import numpy as np

from tests.benchmarks._day import Day, Releases
from tests.benchmarks._report import Report
from tests.benchmarks._simulated import HEALTHY_FACTORS, TRAFFIC, Source, ended


def day_batch(
    source: Source, releases: int, traffic: float, kind: str, day: Day | None = None
) -> int:
    """As `healthy_batch`, but whole releases that begin at any time of a day."""
    day = day or Day()
    slower, begins = source.choice(HEALTHY_FACTORS), source.uniform(0, day.period)
    taken = np.zeros(releases, bool)
    for drawn in Releases(releases, traffic, kind, begins, day, slower).drawn(source):
        taken |= drawn.requests.failed_at() >= 0
        taken |= drawn.handshakes.failed_at(websocket=True) >= 0
        taken |= drawn.durations.failed_at() >= 0
    return int(taken.sum())


def missed_in_a_day(report: Report, source: Source, rounds: int) -> None:
    """10 % errors, or three times the P95, while the time of day changes everything else."""
    for traffic in TRAFFIC[:3]:
        errors = _let_through(source, traffic, rounds, failing=0.10)
        report.goal(f"errors_10_percent_in_a_day_at_{traffic:g}_rps_missed_ratio", errors, 1e-3)
        slow = _let_through(source, traffic, rounds // 2, slower=3.0)
        report.goal(f"p95_times_3_in_a_day_at_{traffic:g}_rps_missed_ratio", slow, 1e-3)


def _let_through(
    source: Source,
    traffic: float,
    rounds: int,
    slower: float = 1.0,
    failing: float | None = None,
) -> float:
    """The ratio of bad releases that pass every share; ten moments of the day take turns."""
    through, each = 0, max(1, rounds // 10)
    for begins in source.uniform(0, Day().period, 10):
        missed = np.ones(each, bool)
        releases = Releases(each, traffic, "lognormal", begins, Day(), slower, failing)
        for drawn in releases.drawn(source):
            judged = drawn.durations if failing is None else drawn.requests
            missed &= ended(judged.failed_at(), judged.passed_at())
            if not missed.any():
                break
        through += int(missed.sum())
    return through / (10 * each)


def rush(report: Report, source: Source, releases: int) -> None:
    """How steep a time of day may be: both colours' latencies double within so many minutes.

    At 100 % nothing but blue's last figures is left to compare with, so the product's answer is
    the gradual one: three quarters go back to blue, and people are told.
    """
    for minutes in (60, 120, 240):
        taken = sum(
            day_batch(source, releases // 10, 50.0, "lognormal", Day(2.0, 120.0 * minutes))
            for _ in range(10)
        )
        title = f"healthy_while_p95_doubles_in_{minutes}_min_at_50_rps_rolled_back_ratio"
        report.figure(title, taken / (releases // 10 * 10), 4)
