"""Time slices: which tallies a moment is counted in, and which a window is read from.

Each moment is counted twice: in a slice of 1 s, which lives for a little over a minute and
serves short windows to the second, and in a slice of 10 s, which lives for a little over an hour.
A long window so covers up to 10 s more than it says, and never more than 361 slices.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_SECONDS = 1
LONGEST_SECONDS = 3600
DEFAULT_SECONDS = 300

FINE_SECONDS = 1
FINE_REACH_SECONDS = 60
FINE_TTL_SECONDS = 90.0
COARSE_SECONDS = 10
COARSE_TTL_SECONDS = 3700.0


@dataclass(frozen=True)
class Span:
    """The slices of a window: their length, their starts, and the seconds that they cover."""

    step_seconds: int
    starts: range
    covered_seconds: float


def span(now: float, window_seconds: int) -> Span:
    """The slices that hold the last `window_seconds` before `now` (unix time)."""
    step = FINE_SECONDS if window_seconds <= FINE_REACH_SECONDS else COARSE_SECONDS
    first = slice_start(now - window_seconds, step)
    return Span(step, range(first, int(now) + 1, step), now - first)


def slice_start(moment: float, step_seconds: int) -> int:
    """Where the slice that holds a moment begins."""
    return int(moment // step_seconds) * step_seconds
