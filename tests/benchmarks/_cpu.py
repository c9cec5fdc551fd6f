"""How much of the machine a benchmark had: what others used, and how long a process had to wait."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


class Machine:
    """Within it, watches the processor; `others_percent` and `waited_percent` afterwards.

    Args:
        pid: of a server's master process; the waiting of its workers is watched.
    """

    def __init__(self, pid: int) -> None:
        self.others_percent = 0.0
        """What processes that the benchmark did not start used, of all cores together."""
        self.waited_percent = 0.0
        """Time in which a worker could have run, but no core was free for it."""
        self._workers = [child.pid for child in psutil.Process(pid).children(recursive=True)]

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._before = self._used_by_all(), self._used_by_us(), self._waited()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        seconds = time.monotonic() - self._began
        everybody, ours, waited = self._before
        others = self._used_by_all() - everybody - (self._used_by_us() - ours)
        self.others_percent = max(0.0, 100 * others / (seconds * psutil.cpu_count()))
        self.waited_percent = 100 * (self._waited() - waited) / seconds

    def _used_by_all(self) -> float:
        times = psutil.cpu_times()
        return float(times.user + times.nice + times.system + times.irq + times.softirq)

    def _used_by_us(self) -> float:
        own = psutil.Process()
        times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    def _waited(self) -> float:
        fields = [Path(f"/proc/{pid}/schedstat").read_text().split() for pid in self._workers]
        return sum(int(each[1]) for each in fields) / 1e9
