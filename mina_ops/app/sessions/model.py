"""Counts of live sessions: of one process, and summed over the processes of a colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


def sid_prefix(environment: str, instance: str) -> str:
    """What every Engine.IO session id of an instance begins with, as `blue.0~`.

    A load balancer routes whoever bears such an id by what stands before the `~`.
    """
    return f"{environment}.{instance}~"


@dataclass(frozen=True)
class Count:
    """Live sessions: each client once, whatever its namespaces; by transport; by namespace."""

    total: int = 0
    by_transport: Mapping[str, int] = field(default_factory=dict)
    by_namespace: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The count as a JSON object."""
        return asdict(self)


def count_from(report: object) -> Count:
    """The count in a process's report; nothing is 0 sessions."""
    if not isinstance(report, Mapping):
        return Count()
    return Count(
        int(report.get("total", 0)),
        dict(report.get("by_transport") or {}),
        dict(report.get("by_namespace") or {}),
    )


def total(counts: Iterable[Count]) -> Count:
    """The sum of counts."""
    transports: Counter[str] = Counter()
    namespaces: Counter[str] = Counter()
    sessions = 0
    for count in counts:
        sessions += count.total
        transports.update(count.by_transport)
        namespaces.update(count.by_namespace)
    return Count(sessions, dict(transports), dict(namespaces))
