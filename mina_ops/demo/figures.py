"""The play's result: the figures that it ends with, and whether they are good."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

LEAST_SWITCHES = 5


@dataclass(frozen=True)
class Figures:
    """What happened in one play; milliseconds and seconds are None if nothing was measured."""

    requests: int
    failed_requests: int
    clients: int
    reconnected: int
    chunks_sent: int
    chunks_lost: int
    chunks_duplicated: int
    switches: int
    switch_ms_p50: float | None
    switch_ms_max: float | None
    drain_seconds: float | None

    def faults(self) -> list[str]:
        """What went wrong, a sentence each; empty if nothing failed and nothing was lost."""
        found = []
        if not self.requests:
            found.append("No request was sent.")
        if self.failed_requests:
            found.append(f"{self.failed_requests} of {self.requests} requests failed.")
        if not self.chunks_sent:
            found.append("No chunk was sent.")
        if self.chunks_lost:
            found.append(f"{self.chunks_lost} of {self.chunks_sent} chunks were lost.")
        if self.chunks_duplicated:
            found.append(f"{self.chunks_duplicated} chunks were handled more than once.")
        if self.switches < LEAST_SWITCHES:
            found.append(f"Only {self.switches} switches happened, {LEAST_SWITCHES} are due.")
        if self.drain_seconds is None:
            found.append("The old colour was not drained.")
        return found

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


def milliseconds(switches: Sequence[float]) -> tuple[float | None, float | None]:
    """Median and maximum of the switches' durations, to a tenth."""
    if not switches:
        return None, None
    return round(median(switches), 1), round(max(switches), 1)
