"""Simulated releases: how often a healthy one is rolled back, how soon a bad one is seen.

Small sites (0.5, 1 and 5 requests a second) and a larger one (50), lognormal, bimodal and
heavy-tailed latencies, faults from the start of a step and in its middle, a bad blue, and a day
in which both colours slow down and traffic swells. Every FAIL is the product's own `judge`; peers'
rules and an always-valid sequential test are run on the same requests. `--seconds` bounds the
part that hunts for false rollbacks.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Response
from tests.benchmarks import _concepts
from tests.benchmarks._in_a_day import day_batch, missed_in_a_day, rush
from tests.benchmarks._laws import Law, law, p95
from tests.benchmarks._peers_of_analysis import argo, by_minute, e_process_alarm, flagger, kayenta
from tests.benchmarks._report import Report, arguments
from tests.benchmarks._simulated import (
    HEALTHY_FACTORS,
    LAWS,
    LIMIT,
    P95_LOOK_SECONDS,
    PATIENCE_SECONDS,
    RATE_LOOK_SECONDS,
    SHARES,
    STEP_SECONDS,
    TRAFFIC,
    Counts,
    Durations,
    Source,
    draw_durations,
    draw_rates,
    ended,
    fail_chance,
    is_slower,
)

PIPELINE_SECONDS = 2.0  # a flush each second, a view read each second
HANDSHAKES_SHARE = 0.1
BATCH = 200

Rate = Callable[[int], NDArray[np.float64]]


def constant(rates: NDArray[np.float64] | float) -> Rate:
    """The same error rate at each look; an array has one for each release."""
    return lambda looks: np.broadcast_to(np.asarray(rates), (1, looks))


def drifting(source: Source, releases: int) -> Rate:
    """Healthy releases of 0.1 to 1 % errors, which rise by half in the course of the step."""
    rates = source.uniform(0.001, 0.0067, (releases, 1))
    return lambda looks: np.asarray(rates * np.linspace(1.0, 1.5, looks))


def healthy_batch(source: Source, releases: int, traffic: float, kind: str) -> int:
    """How many of so many healthy releases are taken back by any trigger at any share."""
    taken = np.zeros(releases, bool)
    for share in SHARES:
        green = traffic * share
        for per_second, websocket in ((green, False), (green * HANDSHAKES_SHARE, True)):
            drawn = draw_rates(source, releases, per_second, drifting(source, releases))
            taken |= drawn.failed_at(websocket=websocket) >= 0
        slower = law(kind, source.choice(HEALTHY_FACTORS))
        looks = STEP_SECONDS // P95_LOOK_SECONDS * (1 if traffic > 5 else 2)
        durations = draw_durations(
            source, releases, traffic, share, kind, lambda _, chances=slower: chances, looks
        )
        taken |= durations.failed_at() >= 0
    return int(taken.sum())


def by_chance(report: Report, source: Source, releases: int) -> None:
    """How false rollbacks depend on the chance of error at one look, where they are frequent.

    The product's own chance is so small that rollbacks of healthy releases are too rare to be
    counted; how they fall with the chance says what is to be expected there.
    """
    for chance in (1e-4, 1e-5, 1e-6):
        taken = seen = 0
        with fail_chance(chance):
            while seen < releases:
                traffic, kind = TRAFFIC[seen // BATCH % 4], LAWS[seen // BATCH % 3]
                taken += healthy_batch(source, BATCH, traffic, kind)
                seen += BATCH
        report.figure(f"healthy_releases_at_chance_{chance:g}", seen, 0)
        report.figure(f"healthy_rolled_back_at_chance_{chance:g}", taken, 0)


def hunt(report: Report, source: Source, seconds: float) -> None:
    """Healthy releases, at a time that does not matter and in the course of a day, until the end.

    Half of the time goes to each, and every site and every law of latencies has its turn.
    """
    cases = [(traffic, kind) for traffic in TRAFFIC for kind in LAWS]
    counts = {}
    for name, batch in (("healthy", healthy_batch), ("healthy_in_a_day", day_batch)):
        seen, taken = dict.fromkeys(TRAFFIC, 0), dict.fromkeys(TRAFFIC, 0)
        end, number = time.monotonic() + seconds / 2, 0
        while number < len(cases) or time.monotonic() < end:
            traffic, kind = cases[number % len(cases)]
            taken[traffic] += batch(source, BATCH, traffic, kind)
            seen[traffic] += BATCH
            number += 1
        for traffic in TRAFFIC:
            report.figure(f"{name}_releases_at_{traffic:g}_rps", seen[traffic], 0)
            report.figure(f"{name}_at_{traffic:g}_rps_rolled_back", taken[traffic], 0)
        counts[name] = sum(taken.values()), sum(seen.values())
        report.figure(f"simulated_{name}_releases", counts[name][1], 0)
        report.figure(f"{name}_releases_rolled_back", counts[name][0], 0)
    taken_back, all_of_them = (sum(one) for one in zip(*counts.values(), strict=True))
    report.goal("false_rollback_ratio", taken_back / all_of_them, 1 / 100_000)


def errors_of_ten_percent(report: Report, source: Source, traffic: float, rounds: int) -> None:
    """Green fails 10 % from the start: taken back in the first step, and never let through."""
    missed = np.ones(rounds, bool)
    for share in SHARES:
        drawn = draw_rates(source, rounds, traffic * share, constant(0.10))
        failed, passed = drawn.failed_at(), drawn.passed_at()
        missed &= ended(failed, passed)
        if share == SHARES[0]:
            name = f"errors_10_percent_at_{traffic:g}_rps"
            report.figure(f"{name}_back_in_first_step_ratio", float((failed >= 0).mean()), 4)
            report.figure(f"{name}_first_step_seen_median_s", _median(failed, RATE_LOOK_SECONDS), 0)
            known = e_process_alarm(drawn.trials, drawn.events, 1e-5)
            report.figure(f"e_process_{name}_seen_median_s", _median(known, RATE_LOOK_SECONDS), 0)
            trials, events = (by_minute(c, RATE_LOOK_SECONDS) for c in (drawn.trials, drawn.events))
            for peer, rule in (("flagger", flagger), ("argo", argo)):
                report.figure(
                    f"{peer}_{name}_seen_median_s", _median(rule(trials, events, LIMIT), 60), 0
                )
    report.goal(f"errors_10_percent_at_{traffic:g}_rps_missed_ratio", float(missed.mean()), 1e-3)


def _median(looks: Counts, every: int, late: int = 0) -> float | None:
    """The median second, from `late` on, at which it was seen; None where fewer than half were."""
    seconds = np.where(looks >= 0, (looks + 1.0) * every + PIPELINE_SECONDS - late, math.inf)
    median = float(np.median(seconds))
    return median if math.isfinite(median) else None


def p95_three_times(report: Report, source: Source, traffic: float, rounds: int) -> None:
    """Green takes three times as long: never let through at any share."""
    missed = np.ones(rounds, bool)
    for share in SHARES:
        durations = _slow(source, rounds, traffic, share, 3.0)
        missed &= ended(durations.failed_at(), durations.passed_at())
        if not missed.any():
            break
    report.goal(f"p95_times_3_at_{traffic:g}_rps_missed_ratio", float(missed.mean()), 1e-3)


def _slow(
    source: Source, releases: int, traffic: float, share: float, factor: float, late: int = 0
) -> Durations:
    laws = (law("lognormal"), law("lognormal", factor))

    def green(look: int) -> Law:
        return laws[look * P95_LOOK_SECONDS >= late]

    return draw_durations(source, releases, traffic, share, "lognormal", green)


def samples_until_seen(report: Report, source: Source, rounds: int) -> None:
    """Requests of green until a P95 three times as long is sure; the slowest of 20 counts."""
    steps = np.arange(20, 301, 5)
    fast, slow = law("lognormal"), law("lognormal", 3.0)
    needed = []
    for _ in range(rounds):
        old = source.multinomial(900, fast)
        counts, done = np.zeros_like(old), 0
        for samples in steps:
            counts = counts + source.multinomial(samples - done, slow)
            done = samples
            if is_slower(counts, old, "lognormal"):
                break
        needed.append(int(done))
    needed.sort()
    report.figure("p95_times_3_seen_median_samples", needed[len(needed) // 2], 0)
    report.goal("p95_times_3_seen_samples", needed[int(0.95 * len(needed))], 100)


def verdicts_of_a_small_site(report: Report, source: Source, rounds: int) -> None:
    """One request a second: how soon a healthy first step passes by errors and by P95."""
    for traffic in (1.0, 5.0):
        drawn = draw_rates(source, rounds, traffic * SHARES[0], constant(0.003))
        durations = _slow(source, rounds, traffic, SHARES[0], 1.05)
        for name, passed, every in (
            ("errors", drawn.passed_at(), RATE_LOOK_SECONDS),
            ("p95", durations.passed_at(), P95_LOOK_SECONDS),
        ):
            title = f"healthy_{name}_at_{traffic:g}_rps_first_step"
            report.figure(f"{title}_pass_median_s", _median(passed, every), 0)
            report.figure(f"{title}_pass_ratio", float((passed >= 0).mean()), 3)


def mid_step(report: Report, source: Source, rounds: int) -> None:
    """Faults that begin five minutes into a step with half of 50 requests a second."""
    late = 300

    def begins(rate: float) -> Rate:
        return lambda looks: np.where(np.arange(looks) * RATE_LOOK_SECONDS < late, 0.005, rate)[
            None
        ]

    for rate in (0.06, 0.10):
        drawn = draw_rates(source, rounds, 50.0, begins(rate))
        failed = drawn.failed_at()
        seen = np.sort(np.where(failed >= 0, (failed + 1.0) * RATE_LOOK_SECONDS - late, math.inf))
        title = f"errors_{100 * rate:g}_percent_mid_step_at_50_rps"
        report.figure(f"{title}_seen_p95_s", float(seen[int(0.95 * rounds)]) + PIPELINE_SECONDS, 0)
        known = e_process_alarm(drawn.trials, drawn.events, 1e-5)
        report.figure(
            f"e_process_unaware_{title}_seen_median_s", _median(known, RATE_LOOK_SECONDS, late), 0
        )
    for factor in (1.8, 3.0):
        few = max(20, rounds // 10)
        failed = _slow(source, few, 50.0, 0.5, factor, late).failed_at()
        title = f"p95_times_{factor:g}_mid_step_at_50_rps_seen_median_s"
        report.figure(title, _median(failed, P95_LOOK_SECONDS, late), 0)


def bad_blue(report: Report) -> None:
    """Blue is over its limit: green as bad holds, green much worse goes back."""
    blue = Figures(requests=3000, errors=270)
    as_bad, worse = Figures(requests=1000, errors=95), Figures(requests=300, errors=300)
    held = judge(as_bad, blue).response is Response.HOLD
    back = judge(worse, blue).response is Response.INSTANT
    report.goal("bad_blue_wrong_responses", int(not held) + int(not back), 0)


def peers_on_healthy(report: Report, source: Source, rounds: int) -> None:
    """How often the peers take back healthy releases of a site with one request a second."""
    drawn = draw_rates(source, rounds, SHARES[1], drifting(source, rounds))
    trials, events = (by_minute(c, RATE_LOOK_SECONDS) for c in (drawn.trials, drawn.events))
    ours = drawn.failed_at() >= 0
    report.figure("healthy_at_1_rps_share_25_rolled_back_ratio", float(ours.mean()), 5)
    for peer, rule in (("flagger", flagger), ("argo", argo)):
        ratio = float((rule(trials, events, LIMIT) >= 0).mean())
        report.figure(f"{peer}_healthy_at_1_rps_share_25_rolled_back_ratio", ratio, 4)
    for factor, name in ((1.1, "healthy"), (3.0, "p95_times_3")):
        drawn_p95 = _slow(source, rounds // 4, 1.0, SHARES[1], factor)
        both = (_p95_by_minute(c) for c in (drawn_p95.new, drawn_p95.old))
        called = kayenta(*both)
        report.figure(
            f"kayenta_{name}_at_1_rps_share_25_called_high_ratio", float(called.mean()), 4
        )
        ours_p95 = drawn_p95.failed_at() >= 0
        title = f"{name}_p95_at_1_rps_share_25_rolled_back_ratio"
        report.figure(title, float(ours_p95.mean()), 4)


def _p95_by_minute(counts: Counts) -> NDArray[np.float64]:
    minutes = counts.shape[1] // 4
    whole = counts[:, : minutes * 4].reshape(len(counts), minutes, 4, -1).sum(2)
    return np.where(whole.sum(-1) > 0, p95(whole, "lognormal"), np.nan)


def main() -> int:
    """Run all simulations."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for false rollbacks")
    parser.add_argument("--rounds", type=int, default=2000, help="bad releases of each kind")
    parser.add_argument("--seed", type=int, default=0, help="other random numbers")
    parser.add_argument("--write", action="store_true", help="the table in docs/concepts.md")
    options = parser.parse_args()
    report, source = Report(options.json), np.random.default_rng(7 + options.seed)
    report.figure("step_and_patience_s", STEP_SECONDS + PATIENCE_SECONDS, 0)
    bad_blue(report)
    samples_until_seen(report, source, options.rounds // 5)
    for traffic in TRAFFIC[:3]:
        errors_of_ten_percent(report, source, traffic, options.rounds)
        p95_three_times(report, source, traffic, options.rounds // 2)
    verdicts_of_a_small_site(report, source, options.rounds // 4)
    mid_step(report, source, options.rounds // 4)
    missed_in_a_day(report, source, options.rounds // 4)
    rush(report, source, options.rounds // 10)
    peers_on_healthy(report, source, options.rounds)
    by_chance(report, np.random.default_rng(20261130 + options.seed), 3 * options.rounds)
    hunt(report, np.random.default_rng(20261123 + options.seed), options.seconds)
    if options.write:
        _concepts.write(report.figures | {n: g["value"] for n, g in report.goals.items()})
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
