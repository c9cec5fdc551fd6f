"""Log-spaced buckets: quantiles within 1 % of the truth, whatever the distribution.

A bucket's count is all that is stored, so histograms of many processes are merged by adding.
Source: the logarithmic mapping of DDSketch (Masson, Rim, Lee, VLDB 2019), with relative
accuracy 1 %.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil, exp, log

RELATIVE_ERROR = 0.01
SHORTEST_SECONDS = 1e-6
LONGEST_SECONDS = 86_400.0

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = log(_GAMMA)
_SCALE = 1 / _LOG_GAMMA
_MIDDLE = 2 / (1 + _GAMMA)


def bucket(seconds: float) -> int:
    """The bucket of a duration; what is outside 1 us to a day counts as the nearest of these."""
    if seconds <= SHORTEST_SECONDS:
        return ceil(log(SHORTEST_SECONDS) * _SCALE)
    return ceil(log(min(seconds, LONGEST_SECONDS)) * _SCALE)


def buckets(ascending: Sequence[float]) -> Counter[int]:
    """Bucket -> number of these durations, which are sorted."""
    first = bisect_right(ascending, SHORTEST_SECONDS)
    last = bisect_right(ascending, LONGEST_SECONDS)
    # One comprehension rather than a call each: requests pay for this.
    counts = Counter([ceil(log(seconds) * _SCALE) for seconds in ascending[first:last]])
    for count, edge in ((first, SHORTEST_SECONDS), (len(ascending) - last, LONGEST_SECONDS)):
        if count:
            counts[bucket(edge)] += count
    return counts


def duration(index: int) -> float:
    """The seconds that a bucket stands for: within 1 % of each duration in it."""
    return exp(index * _LOG_GAMMA) * _MIDDLE


def quantile(counts: Mapping[int, float], q: float) -> float | None:
    """The duration in seconds at rank `q` (0 to 1) of bucket -> count; None without any count.

    It lies within 1 % of the sample at rank floor(q * (n - 1)) of all n samples in order.
    """
    left = int(q * (sum(counts.values()) - 1) + 1e-9)
    for index in sorted(counts):
        left -= int(counts[index])
        if left < 0:
            return duration(index)
    return None
