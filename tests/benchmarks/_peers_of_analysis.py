"""What others would have done with the same simulated requests: three peers and an oracle.

- Flagger: a check each minute, back after `threshold` failed ones in all (its documented example).
- Argo Rollouts: a measurement each minute, back when more than `failureLimit` failed.
- Kayenta: canary against baseline, minute by minute, by the Mann-Whitney U test at 98 %.
- A mixture e-process: an always-valid sequential test (A. Ramdas and others, Statistical Science
  38, 2023), which may be looked at after each request. It knows when the fault begins, so it says
  how soon anybody could be sure.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks._simulated import TOLERATED, Counts

MINUTE = 60
_ALTERNATIVES = np.exp(np.linspace(math.log(1.5 * TOLERATED), math.log(0.999), 24))


def e_process_alarm(trials: Counts, events: Counts, chance: float) -> Counts:
    """The first place of each row at which the e-process exceeds 1 / chance; -1: none.

    The evidence against "at most the tolerated rate" is the mean of likelihood ratios over a grid
    of rates above it; each is a supermartingale whatever the true rate below is.
    """
    n, k = trials.cumsum(1), events.cumsum(1)
    up, down = np.log(_ALTERNATIVES / TOLERATED), np.log((1 - _ALTERNATIVES) / (1 - TOLERATED))
    ratios = k[..., None] * up + (n - k)[..., None] * down
    top = ratios.max(-1)
    evidence = top + np.log(np.exp(ratios - top[..., None]).mean(-1))
    over = evidence > math.log(1 / chance)
    return np.where(over.any(1), over.argmax(1), -1)


def by_minute(counts: Counts, every: int) -> Counts:
    """Counts of each minute, from counts of each look."""
    looks = MINUTE // every
    whole = counts[:, : counts.shape[1] // looks * looks]
    return np.asarray(whole.reshape(len(whole), -1, looks).sum(2))


def flagger(trials: Counts, events: Counts, limit: float, threshold: int = 5) -> Counts:
    """The minute at which Flagger takes each row back; -1: never. No data is a failed check."""
    failed = (events > limit * trials) | (trials == 0)
    return _reached(failed, threshold)


def argo(trials: Counts, events: Counts, limit: float, failure_limit: int = 3) -> Counts:
    """The minute at which Argo Rollouts aborts each row; -1: never. No data is inconclusive."""
    return _reached((events > limit * trials) & (trials > 0), failure_limit + 1)


def kayenta(canary: NDArray[np.float64], baseline: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the U test at 98 % calls each row's canary higher by over a quarter.

    Both are figures of each minute (NaN: no data, left out), as Kayenta's judge takes them.
    """
    found = np.zeros(len(canary), bool)
    for row, (a, b) in enumerate(zip(canary, baseline, strict=True)):
        x, y = a[~np.isnan(a)], b[~np.isnan(b)]
        if len(x) < 5 or len(y) < 5:
            continue
        moved = y + 0.25 * abs(float(np.median(x[:, None] - y[None, :])))
        greater = (x[:, None] > moved).sum() + 0.5 * (x[:, None] == moved).sum()
        mean, deviation = (
            len(x) * len(y) / 2,
            math.sqrt(len(x) * len(y) * (len(x) + len(y) + 1) / 12),
        )
        found[row] = (greater - mean) / deviation > 2.326
    return found


def _reached(failed: NDArray[np.bool_], times: int) -> Counts:
    reached = failed.cumsum(1) >= times
    return np.where(reached.any(1), reached.argmax(1), -1)
