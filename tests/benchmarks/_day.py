"""Releases in the course of a day: both colours slow down together, and traffic swells.

At noon there is ten times the traffic of the night, requests take three times as long, and half
as many again fail. Green is compared with blue over the same window wherever blue has enough
traffic; at 100 % it is compared with what blue had when the share before passed, up to half an
hour ago. That is where the time of day could be taken for a fault of green.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mina_ops.operator.release.verdicts.latency import TO_COMPARE
from tests.benchmarks._laws import Counts, Law, law
from tests.benchmarks._simulated import (
    BASELINE_SECONDS,
    P95_LOOK_SECONDS,
    RATE_LOOK_SECONDS,
    SHARES,
    STEP_SECONDS,
    Durations,
    Rates,
    Source,
)

DAY_SECONDS, WATCH_SECONDS = 86_400, 900
_TRAFFIC_TIMES, _SLOWER_TIMES, _ERRORS_TIMES = 10.0, 3.0, 1.5


@dataclass(frozen=True)
class Day:
    """How the day goes: `slower` times as long at noon, `period` seconds from noon to noon."""

    slower: float = _SLOWER_TIMES
    period: float = DAY_SECONDS

    def traffic(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Traffic at so many seconds after the quietest moment, 1 being its mean over a day."""
        return np.asarray(_swing(seconds, self.period, _TRAFFIC_TIMES) / _mean(_TRAFFIC_TIMES))

    def slowness(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many times as long requests take as at the quietest moment."""
        return _swing(seconds, self.period, self.slower)

    def errors(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many times as many requests fail as at the quietest moment."""
        return _swing(seconds, self.period, _ERRORS_TIMES)


def _swing(seconds: NDArray[np.float64], period: float, most: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(math.log(most) * (1 - np.cos(2 * math.pi * seconds / period)) / 2))


@cache
def _mean(most: float) -> float:
    return float(_swing(np.linspace(0.0, 1.0, 1000, endpoint=False), 1.0, most).mean())


@dataclass(frozen=True)
class Stage:
    """A share and how long it lasts; the last one is the watch with everything on green."""

    share: float
    begins: int
    seconds: int


def stages(traffic: float) -> list[Stage]:
    """A release's shares one after the other; a small site waits longer for its figures."""
    step = STEP_SECONDS * (1 if traffic > 5 else 2)
    shares = [Stage(share, number * step, step) for number, share in enumerate(SHARES)]
    return [*shares, Stage(1.0, len(SHARES) * step, WATCH_SECONDS)]


@dataclass(frozen=True)
class Drawn:
    """What both colours count at one stage: requests, handshakes, durations."""

    requests: Rates
    handshakes: Rates
    durations: Durations


@dataclass(frozen=True)
class Releases:
    """So many releases of one site that begin at the same moment of the day.

    Attributes:
        begins: seconds after the quietest moment.
        traffic: requests a second, the mean over a day.
        slower: how many times as long green takes as blue does at the same time.
        failing: the rate of green's failing requests; None: as blue's, up to 1 %.
    """

    count: int
    traffic: float
    kind: str
    begins: float
    day: Day = Day()
    slower: float = 1.0
    failing: float | None = None

    def drawn(self, source: Source) -> Iterator[Drawn]:
        """Stage by stage, with the baseline that the product would compare with there."""
        before, age = self._before(source)
        for stage in stages(self.traffic):
            durations = self._durations(source, stage, before, age)
            yield Drawn(self._rates(source, stage, 1.0), self._rates(source, stage, 0.1), durations)
            old = durations.old.sum(1)
            renewed = old.sum(-1) >= TO_COMPARE
            before = np.where(renewed[:, None], old, before)
            age = np.where(renewed, stage.seconds / 2, age + stage.seconds)

    def _before(self, source: Source) -> tuple[Counts, NDArray[np.float64]]:
        """Blue's durations of the quarter of an hour before the start, or of the hour; the age."""
        per_second = self.traffic * float(self.day.traffic(np.array(self.begins)))
        quiet = per_second * BASELINE_SECONDS < TO_COMPARE
        seconds = 3600 if quiet else BASELINE_SECONDS
        looks = self.begins - np.arange(P95_LOOK_SECONDS, seconds + 1, P95_LOOK_SECONDS)
        return self._counts(source, looks, 1.0, 1.0).sum(1), np.full(self.count, seconds / 2)

    def _durations(
        self, source: Source, stage: Stage, before: Counts, age: NDArray[np.float64]
    ) -> Durations:
        looks = self._looks(stage, P95_LOOK_SECONDS)
        new = self._counts(source, looks, stage.share, self.slower)
        old = self._counts(source, looks, 1 - stage.share, 1.0)
        return Durations(new, old, before, age, self.kind)

    def _counts(
        self, source: Source, looks: NDArray[np.float64], share: float, slower: float
    ) -> Counts:
        """Requests by release, look and bucket."""
        each = self.traffic * share * P95_LOOK_SECONDS * self.day.traffic(looks)
        counts = [
            source.multinomial(source.poisson(mean, self.count), _law(self.kind, factor))
            for mean, factor in zip(each, slower * self.day.slowness(looks), strict=True)
        ]
        return np.stack(counts, 1)

    def _rates(self, source: Source, stage: Stage, of_traffic: float) -> Rates:
        looks = self._looks(stage, RATE_LOOK_SECONDS)
        per_second = self.traffic * stage.share * of_traffic
        trials = source.poisson(
            per_second * RATE_LOOK_SECONDS * self.day.traffic(looks), (self.count, len(looks))
        )
        usual = source.uniform(0.001, 0.01 / _ERRORS_TIMES, (self.count, 1))
        rates = usual * self.day.errors(looks) if self.failing is None else self.failing
        return Rates(trials, source.binomial(trials, rates))

    def _looks(self, stage: Stage, every: int) -> NDArray[np.float64]:
        return self.begins + stage.begins + np.arange(0.0, stage.seconds, every)


def _law(kind: str, factor: float) -> Law:
    return _rounded_law(kind, round(200 * math.log(factor)))


@cache
def _rounded_law(kind: str, half_percents: int) -> Law:
    return law(kind, math.exp(half_percents / 200))
