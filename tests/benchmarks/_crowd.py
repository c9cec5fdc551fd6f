"""Clients of the benchmarks of hand-overs: in two processes, on blue before it begins."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from mina_ops.demo import programs
from tests.app.drain.fleet import Clients
from tests.support.wait import PATIENCE, eventually

GUNICORN = ("--worker-connections", "12000", "--graceful-timeout", "8", "--backlog", "4096")
# What tests make longer, so that a busy machine fails none.
SHIPPED = {"MINA_OPS_REDIS_TIMEOUT": "0.2"}
# How long no answer at all may come, and how long the last one.
LAST_ACKS_SECONDS = 15
LONGEST_SECONDS = 240


@dataclass(frozen=True)
class Crowd:
    """Two processes of clients."""

    groups: list[Clients]

    def sum(self, key: str) -> int:
        """A count over both, as of their last reports."""
        return sum(int(group.last.get(key, 0)) for group in self.groups)

    def on(self, colour: str) -> int:
        """How many are connected to a colour."""
        return sum(int(group.last.get("colours", {}).get(colour, 0)) for group in self.groups)

    def finish(self) -> list[dict[str, Any]]:
        """Send nothing more, wait for the last answers; their final reports."""
        for group in self.groups:
            group.stop()
        return [group.finish(LONGEST_SECONDS / PATIENCE) for group in self.groups]


@contextmanager
def crowd(url: str, number: int, **options: Any) -> Iterator[Crowd]:
    """So many clients, all connected; `options` are those of clients.mjs."""
    more = {"ramp_ms": max(500, number * 3), "report_ms": 200, **options}
    more["last_acks_ms"] = LAST_ACKS_SECONDS * 1000
    with ExitStack() as running:
        groups = [
            running.enter_context(Clients.start(programs.node(), url, clients=half, **more))
            for half in (number // 2, number - number // 2)
        ]
        found = Crowd(groups)
        eventually(
            lambda: found.sum("connected") == number, 40, "not all clients connect", interval=0.1
        )
        yield found


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The value that so many percent of them do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else None


def raise_file_limit() -> None:
    """Sockets are files; what is started inherits the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
