"""Does everyone fail the same dependency? Then taking everyone out helps nobody. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

Report = Mapping[str, Any]


def failed_by_all(
    failing: Collection[str], shared: Collection[str], reports: Iterable[Report]
) -> frozenset[str]:
    """Of the failing checks, those that are shared and that every live process fails too.

    Args:
        failing: what this process fails now.
        shared: checks of dependencies that all processes of both colours have in common.
        reports: what each live process of both colours, this one included, says of its health.
            A single process cannot tell its own fault from everyone's: nothing is tolerated.
    """
    peers = list(reports)
    if len(peers) < 2:
        return frozenset()
    common = frozenset(failing) & frozenset(shared)
    for report in peers:
        common &= frozenset(report.get("failing") or ())
    return common
