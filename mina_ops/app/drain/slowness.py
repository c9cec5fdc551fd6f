"""How much more time sessions get because their process is slow.

A process that gets its turn so much too late, on a machine that is full, is a process in which all
that sessions do takes longer: cutting them off at the usual moment would be a loss.
"""

from __future__ import annotations

import time

# A turn that comes this much later than the last one is late.
USUAL_SECONDS = 0.1
# Example: turns that come 0.5 s too late give everybody 10 s more.
TIMES = 20.0
MOST_SECONDS = 30.0
_FADES = 0.95


class Slowness:
    """Watches how late the turns of one task come."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._late = 0.0

    def tick(self) -> None:
        """A turn begins."""
        now = time.monotonic()
        late = 0.0 if self._last is None else now - self._last - USUAL_SECONDS
        self._last = now
        self._late = max(late, self._late * _FADES, 0.0)

    @property
    def extra_seconds(self) -> float:
        """How much longer than usual to wait, up to 30 s; 0 on a machine with room."""
        return min(MOST_SECONDS, TIMES * self._late)
