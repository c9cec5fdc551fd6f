"""Decides how many chunks a stream sends at a time, and how long it waits for an answer.

A slow server is not buried in repeats: without an answer less is under way and the patience grows.
"""

from __future__ import annotations

# How long a server may be silent; one that answers slowly has twice the time that it takes.
ACK_SECONDS = 2.0
TIMES_ROUND_TRIP = 2
WINDOW = 8
# Without an answer the patience doubles, up to this.
LONGEST_ACK_SECONDS = 60.0
# Between two tries of a chunk that a server does not take yet.
LONGEST_PAUSE_SECONDS = 1.0


class Pace:
    """Learns from answers, and from their absence.

    Args:
        window: chunks under way at a time, at most.
        ack_seconds: the least patience.
    """

    def __init__(self, window: int, ack_seconds: float) -> None:
        self.patience = ack_seconds
        """Seconds of silence until what was sent counts as not sent."""
        self._window, self._least = window, ack_seconds
        self._allowed = float(window)
        self._round_trip: float | None = None
        self._waited = 0.0

    @property
    def allowed(self) -> int:
        """How many chunks may be under way now."""
        return int(self._allowed)

    def answered(self, seconds: float | None) -> None:
        """An answer came: let more be under way.

        Args:
            seconds: how long it took; None for a chunk that was sent twice, of which nobody knows
                which was answered.
        """
        self._waited = 0.0
        self._allowed = min(float(self._window), self._allowed + 1 / self._allowed)
        if seconds is None:
            return
        before = seconds if self._round_trip is None else self._round_trip
        self._round_trip = 0.8 * before + 0.2 * seconds
        self.patience = min(
            max(self._least, TIMES_ROUND_TRIP * self._round_trip), LONGEST_ACK_SECONDS
        )

    def begin_anew(self) -> None:
        """Another connection: how slow the last one was says nothing of this one."""
        self.patience = self._least

    def silent(self) -> None:
        """No answer came in time."""
        self.patience = min(self.patience * 2, LONGEST_ACK_SECONDS)
        self._allowed = 1.0

    def refused(self, seconds: float) -> float:
        """A chunk was not taken yet: one at a time asks again, more and more rarely.

        After half of the time that it has waited already: 30, 60, 90, 135, 202 ms after the first
        refusal. So a server that takes it after 100 ms is asked at 135, and one that is full for
        long is asked once a second.

        Args:
            seconds: what the server said.

        Returns:
            Seconds until the next try.
        """
        self._allowed = 1.0
        pause = min(max(seconds, self._waited / 2), LONGEST_PAUSE_SECONDS)
        self._waited += pause
        return pause
