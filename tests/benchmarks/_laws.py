"""Latencies that are drawn: their laws, in buckets, and the quantiles of such counts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Law = NDArray[np.float64]

# From the median up, since nothing below it is compared; 5 % wide, the product's are 2 %.
BUCKETS = {
    "lognormal": np.geomspace(40.0, 2_500.0, 90),
    "bimodal": np.geomspace(20.0, 4_000.0, 100),
    "heavy": np.geomspace(18.0, 20_000.0, 110),
}
"""Milliseconds, by the law of the latencies."""


def law(kind: str, factor: float = 1.0) -> Law:
    """The chance of each bucket: `lognormal`, `bimodal` or `heavy` latencies, `factor` as long."""
    edges = np.concatenate([[1e-9], BUCKETS[kind][:-1], [1e12]]) / factor
    if kind == "heavy":  # Pareto with an infinite variance
        cumulative = np.where(edges < 10.0, 0.0, 1 - (10.0 / np.maximum(edges, 10.0)) ** 1.1)
    elif kind == "bimodal":  # 6 % of the requests call something slow
        cumulative = 0.94 * _lognormal(edges, 20.0, 0.4) + 0.06 * _lognormal(edges, 500.0, 0.3)
    else:
        cumulative = _lognormal(edges, 40.0, 0.8)
    chances = np.maximum(np.diff(cumulative), 0.0)
    return np.asarray(chances / chances.sum())


def _lognormal(values: Law, median: float, sigma: float) -> Law:
    z = (np.log(values) - math.log(median)) / (sigma * math.sqrt(2))
    return np.array([0.5 * (1 + math.erf(x)) for x in z])


def p95(counts: Counts, kind: str, q: float = 0.95) -> NDArray[np.float64]:
    """The quantile of each row of counts by bucket, in milliseconds."""
    ranks = counts.cumsum(-1) >= q * counts.sum(-1, keepdims=True)
    return np.asarray(BUCKETS[kind][ranks.argmax(-1)], dtype=np.float64)
