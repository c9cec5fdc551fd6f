"""Compares the share that a colour really gets with the share that it was given.

Experiments know this test as the sample ratio: when one percent of requests arrives where ten were
meant, the comparison of the colours is worth nothing, however good the figures are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# Requests of one visitor go the same way, so this many requests count as one sample.
REQUESTS_PER_VISITOR = 10
# Three standard errors beyond: one false alarm in some 400 looks at a healthy share.
_DEVIATIONS = 3.0
# A share is in whole percent of buckets, and buckets are not filled evenly.
_TOLERANCE_PERCENT = 2.0


@dataclass(frozen=True)
class Share:
    """What a colour got of all requests of a window.

    Attributes:
        percent: 0 to 100; None where there was no request.
        low, high: the given share may look like anything from `low` to `high` percent.
        samples: requests of both colours.
    """

    percent: float | None
    given: int
    low: float
    high: float
    samples: int

    @property
    def differs(self) -> bool:
        """Whether chance does not explain what was measured."""
        return self.percent is not None and not self.low <= self.percent <= self.high

    def describe(self, colour: str) -> str:
        """As a person says it."""
        got = "no" if self.percent is None else f"{self.percent:.1f} %"
        return f"{colour} gets {got} of {self.samples} requests where it was given {self.given} %"


def measured_share(requests: Mapping[str, int], colour: str, given: int) -> Share:
    """The share of a colour, beside the one that it was given.

    Args:
        requests: colour -> requests over the same window, in which the split did not change.
        colour: whose share.
        given: its percent of new visitors, 0 to 100.
    """
    samples = sum(requests.values())
    percent = None if not samples else 100 * requests.get(colour, 0) / samples
    visitors = max(samples / REQUESTS_PER_VISITOR, 1e-9)
    part = given / 100
    spread = 100 * _DEVIATIONS * math.sqrt(part * (1 - part) / visitors) + _TOLERANCE_PERCENT
    return Share(percent, given, max(0.0, given - spread), min(100.0, given + spread), samples)
