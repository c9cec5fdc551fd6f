"""Simulated releases: how often a healthy one is rolled back, how soon a bad one is seen.

"Seen" is the time from the first bad request to the look that asks to go back, the two seconds
that figures take to get there included. Goals are judged on the slowest of 20 releases (95th
percentile), for a fault that is there from the start of a step and for one that begins late.

Every look goes through the product's own `judge`; numpy draws the requests and leaves out only
those looks that cannot fail, because no estimate is over its limit. Flagger's rule (its docs:
a check each interval, roll back after `threshold` failed ones) is simulated on the same requests.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from _report import Report, arguments
from numpy.typing import NDArray

from mina_ops.operator.release.analysis import judge
from mina_ops.operator.release.measure import RECENT_SECONDS, WINDOWS_SECONDS
from mina_ops.operator.release.model import Figures, Response

STEPS = (10, 25, 50, 100)
STEP_SECONDS = 600
REQUESTS_A_SECOND = 50.0
HANDSHAKES_A_SECOND = 5.0
PIPELINE_SECONDS = 2.0  # a flush each second, a view read each second
P95_EVERY_SECONDS = 15
LATE_SECONDS = 300  # a late fault begins so long after the last change of shares
HEALTHY_RATE = 0.005
SIGMA = 0.8  # of the logarithm of a request's duration
BUCKETS = np.exp(np.linspace(-3 * SIGMA, 4 * SIGMA, 120)) * 40.0  # milliseconds

Counts = NDArray[np.int64]


def windows(looks: int, every: int = 1) -> list[NDArray[np.int64]]:
    """Each look's windows, in units of `every` seconds: its own, then the recent ones."""
    known = np.array(WINDOWS_SECONDS)
    own = np.array([max(known[known <= look * every], default=1) for look in range(1, looks + 1)])
    spans = [own, *(np.minimum(own, recent) for recent in RECENT_SECONDS if recent >= every)]
    return [np.maximum(span // every, 1).astype(np.int64) for span in spans]


def trailing(counts: Counts, spans: NDArray[np.int64]) -> Counts:
    """Sums over the last `spans` seconds up to each second, along the last axis."""
    total = np.concatenate([np.zeros((*counts.shape[:-1], 1), counts.dtype), counts.cumsum(-1)], -1)
    ends = np.arange(1, counts.shape[-1] + 1)
    return total[..., ends] - total[..., np.maximum(ends - spans, 0)]


def probabilities(factor: float) -> NDArray[np.float64]:
    """The chance of each bucket for durations that are `factor` times as long."""
    edges = np.concatenate([[0.0], BUCKETS[:-1], [np.inf]])
    with np.errstate(divide="ignore"):
        z = (np.log(edges) - math.log(40.0 * factor)) / SIGMA
    cumulative = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in z])
    return np.diff(cumulative) / np.diff(cumulative).sum()


def rate_alarms(
    source: np.random.Generator, releases: int, share: float, websocket: bool
) -> Counts:
    """Releases (by index) that a rate's trigger takes back at one share."""
    each = HANDSHAKES_A_SECOND if websocket else REQUESTS_A_SECOND
    rates = source.uniform(0.001, 0.01, (releases, 1))
    trials = source.poisson(each * share, (releases, STEP_SECONDS))
    events = source.binomial(trials, rates)
    taken: set[int] = set()
    for n, k in _counts(trials, events):
        for release, second in np.argwhere((k > 0.05 * n) & (n >= 50)):
            if release not in taken and _fails(k[release, second], n[release, second], websocket):
                taken.add(int(release))
    return np.array(sorted(taken), dtype=np.int64)


def _counts(trials: Counts, events: Counts) -> Iterator[tuple[Counts, Counts]]:
    for spans in windows(STEP_SECONDS):
        yield trailing(trials, spans), trailing(events, spans)


def _fails(events: np.int64, trials: np.int64, websocket: bool) -> bool:
    if websocket:
        new = Figures(websocket_attempts=int(trials), websocket_failures=int(events))
    else:
        new = Figures(requests=int(trials), errors=int(events))
    return judge(new, Figures()).response in (Response.INSTANT, Response.GRADUAL)


def p95_alarms(source: np.random.Generator, releases: int, share: float, factor: float) -> Counts:
    """Releases that the P95 trigger takes back at one share; looked at every 15 s."""
    blocks = STEP_SECONDS // P95_EVERY_SECONDS
    fast, slow = probabilities(1.0), probabilities(factor)
    per_block = REQUESTS_A_SECOND * P95_EVERY_SECONDS
    new = source.multinomial(source.poisson(per_block * share, (releases, blocks)), slow)
    old = source.multinomial(
        source.poisson(per_block * max(1 - share, 0.5), (releases, blocks)), fast
    )
    return np.array(sorted({release for release, _ in _slower(new, old, blocks)}), dtype=np.int64)


def _slower(
    new: Counts, old: Counts, looks: int, every: int = P95_EVERY_SECONDS
) -> Iterator[tuple[int, int]]:
    """Release and look of each P95 trigger; `new` and `old` count by release, look and bucket."""
    for spans in windows(looks, every):
        a, b = (np.moveaxis(trailing(np.moveaxis(c, 1, 2), spans), 2, 1) for c in (new, old))
        for release, look in np.argwhere(_p95(a) > 1.5 * _p95(b)):
            if _is_slower(a[release, look], b[release, look]):
                yield int(release), int(look)


def _p95(counts: Counts) -> NDArray[np.float64]:
    ranks = counts.cumsum(-1) >= 0.95 * counts.sum(-1, keepdims=True)
    return np.asarray(BUCKETS[ranks.argmax(-1)], dtype=np.float64)


def _is_slower(new: Counts, old: Counts) -> bool:
    return judge(Figures(histogram=_pairs(new)), Figures(histogram=_pairs(old))).response is (
        Response.GRADUAL
    )


def _pairs(counts: Counts) -> tuple[tuple[float, float], ...]:
    return tuple((float(b), float(c)) for b, c in zip(BUCKETS, counts, strict=True) if c)


def healthy(report: Report, source: np.random.Generator, releases: int) -> None:
    """How many healthy releases are rolled back by any trigger."""
    taken: set[int] = set()
    batch = 1000
    began = time.monotonic()
    for start in range(0, releases, batch):
        size = min(batch, releases - start)
        for share in STEPS:
            for websocket in (False, True):
                alarms = rate_alarms(source, size, share / 100, websocket)
                taken.update(int(start + index) for index in alarms)
            alarms = p95_alarms(source, size, share / 100, factor=1.1)
            taken.update(int(start + index) for index in alarms)
        if start and start % (10 * batch) == 0:
            report.say(
                f"{start} releases, {len(taken)} rolled back, {time.monotonic() - began:.0f} s"
            )
    report.figure("simulated_healthy_releases", releases, 0)
    report.figure("healthy_releases_rolled_back", len(taken), 0)
    report.goal("false_rollback_ratio", len(taken) / releases, 1 / 10_000)


def seconds_to_see_rate(
    source: np.random.Generator, rate: float, late: int, websocket: bool = False
) -> float:
    """Seconds from the first bad request until the trigger asks to go back."""
    each = HANDSHAKES_A_SECOND if websocket else REQUESTS_A_SECOND
    rates = np.where(np.arange(STEP_SECONDS) < late, HEALTHY_RATE, rate)
    trials = source.poisson(each, STEP_SECONDS)
    events = source.binomial(trials, rates)
    counts = list(_counts(trials, events))
    for second in range(late, STEP_SECONDS):
        if any(_fails(k[second], n[second], websocket) for n, k in counts):
            return second - late + 1 + PIPELINE_SECONDS
    return math.inf


def seconds_to_see_p95(source: np.random.Generator, factor: float, late: int) -> float:
    """The same for durations `factor` times as long, at 50 requests a second on each colour."""
    both = [
        source.multinomial(source.poisson(REQUESTS_A_SECOND, STEP_SECONDS), probabilities(1.0))
        for _ in ("new", "old")
    ]
    bad = source.poisson(REQUESTS_A_SECOND, STEP_SECONDS - late)
    both[0][late:] = source.multinomial(bad, probabilities(factor))
    looks = [look for _, look in _slower(both[0][None], both[1][None], STEP_SECONDS, every=1)]
    return (
        min((look for look in looks if look >= late), default=math.inf)
        - late
        + 1
        + PIPELINE_SECONDS
    )


def flagger(source: np.random.Generator, rate: float, releases: int) -> tuple[float, float]:
    """Flagger's rule at 50 requests a second: median seconds to a rollback, ratio rolled back.

    Its documented example: interval 1 min, threshold 5, request-success-rate at least 99 %,
    over 40 checks; a check fails on the rate of its own minute alone.
    """
    checks, interval, threshold = 40, 60, 5
    trials = source.poisson(REQUESTS_A_SECOND * interval, (releases, checks))
    failed = source.binomial(trials, rate) > 0.01 * trials
    reached = failed.cumsum(1) >= threshold
    back = reached.any(1)
    when = (reached.argmax(1) + 1) * interval
    return float(np.median(when[back])) if back.any() else math.inf, float(back.mean())


def bad(report: Report, source: np.random.Generator, rounds: int) -> None:
    """How soon bad releases are seen: median and the slowest of 20."""
    cases: dict[str, Callable[[int], float]] = {
        "errors_6_percent_at_50_rps": lambda late: seconds_to_see_rate(source, 0.06, late),
        "errors_8_percent_at_50_rps": lambda late: seconds_to_see_rate(source, 0.08, late),
        "websocket_success_90_percent_at_5_per_s": lambda late: seconds_to_see_rate(
            source, 0.10, late, websocket=True
        ),
        "p95_plus_60_percent_at_50_rps": lambda late: seconds_to_see_p95(source, 1.6, late),
        "p95_plus_80_percent_at_50_rps": lambda late: seconds_to_see_p95(source, 1.8, late),
    }
    for name, case in cases.items():
        # P95 takes a hundred times as long to simulate.
        times = rounds // 10 if name.startswith("p95") else rounds
        for begins, late in (("", 0), ("_late", LATE_SECONDS)):
            found = sorted(case(late) for _ in range(times))
            report.figure(f"{name}{begins}_seen_median_s", found[len(found) // 2], 1)
            slowest = found[int(0.95 * len(found))]
            report.figure(f"{name}{begins}_seen_p95_s", slowest, 1)
            if name == "errors_6_percent_at_50_rps":
                report.goal(f"errors_6_percent{begins}_seen_p95_s", slowest, 15.0)


def main() -> int:
    """Run both simulations."""
    parser = arguments(__doc__)
    parser.add_argument("--releases", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="other random numbers")
    options = parser.parse_args()
    report = Report(options.json)
    bad(report, np.random.default_rng(7 + options.seed), options.rounds)
    source = np.random.default_rng(3 + options.seed)
    seconds, _ = flagger(source, 0.06, 2000)
    report.figure("flagger_errors_6_percent_rolled_back_median_s", seconds, 0)
    for rate in (0.001, 0.005, 0.009):
        _, ratio = flagger(source, rate, 2000)
        report.figure(
            f"flagger_healthy_at_{rate * 100:g}_percent_errors_rolled_back_ratio", ratio, 4
        )
    healthy(report, np.random.default_rng(20261123 + options.seed), options.releases)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
