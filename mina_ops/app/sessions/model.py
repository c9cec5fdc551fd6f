"""The prefix of session ids, and counts of live sessions by process and by colour. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


def sid_prefix(environment: str, instance: str) -> str:
    """What every Engine.IO session id of an instance begins with, as `blue.0~`.

    A load balancer sends a request with such an id to the instance that is named before the `~`.
    """
    return f"{environment}.{instance}~"


@dataclass(frozen=True)
class Count:
    """Live sessions: each client once, by transport, and by namespace.

    A client in two namespaces counts in both, so `by_namespace` may sum to more than `total`.
    """

    total: int = 0
    by_transport: Mapping[str, int] = field(default_factory=dict)
    by_namespace: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The count as a JSON object."""
        return asdict(self)


def count_from(report: object) -> Count:
    """The count in a process's report; 0 sessions if it reported nothing."""
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
