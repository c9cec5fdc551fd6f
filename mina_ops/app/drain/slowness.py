"""Gives sessions more time where the process itself is slow.

On a machine that is fully loaded, everything that sessions do takes longer. To cut them off at the
usual moment would lose work, so the time limits grow with the delay of the drain's own task.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

# Up to this long after the last tick, a tick is not late.
USUAL_SECONDS = 0.1
# Example: a tick that comes 0.5 s late gives every session 10 s more.
TIMES = 20.0
MOST_SECONDS = 30.0
# How much of the delay is left with each tick that is on time.
_FADES = 0.95


@dataclass
class Slowness:
    """Measures how late the ticks of the drain's task come."""

    late_seconds: float = 0.0
    """How late they came recently; a delay fades with each tick that is on time."""
    last_at: float | None = None
    """When the last one began, on the monotonic clock; None: there was none."""

    def tick(self) -> None:
        """A tick begins now."""
        now = time.monotonic()
        late = 0.0 if self.last_at is None else now - self.last_at - USUAL_SECONDS
        self.last_at = now
        self.late_seconds = max(late, self.late_seconds * _FADES, 0.0)

    @property
    def extra_seconds(self) -> float:
        """How much longer than usual to wait: 0 to 30 s; 0 where ticks come on time."""
        return min(MOST_SECONDS, TIMES * self.late_seconds)
