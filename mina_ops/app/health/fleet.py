"""Compares a check's result with those of all other processes of both colours. Pure.

If every process fails the same shared dependency, none is taken out of traffic, since that would
help nobody. If every process is well, only a few have to ask at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from mina_ops.app.state.summary import Summary


def failed_by_all(
    failing: Collection[str], shared: Collection[str], colours: Collection[Summary]
) -> frozenset[str]:
    """Of the failing checks, those that are shared and that every live process fails too.

    Args:
        failing: what this process fails now.
        shared: checks of dependencies that all processes of both colours have in common.
        colours: the summary of each colour, as `Health.merge` made its part. If one is old, nobody
            knows how the others do; and a single process cannot tell its own fault from
            everyone's. In both cases nothing is tolerated.
    """
    live = [colour for colour in colours if colour.processes]
    processes = sum(colour.processes for colour in live)
    if processes < 2 or any(colour.stale for colour in live):
        return frozenset()
    said = [colour.parts.get("health", {}).get("failing", {}) for colour in live]
    common = frozenset(failing) & frozenset(shared)
    return frozenset(n for n in common if sum(by_name.get(n, 0) for by_name in said) == processes)


class Vouchers(NamedTuple):
    """How the rest of the fleet stands to a check.

    Attributes:
        well: live processes that have run their checks and do not fail this one.
        failing: those that do.
    """

    well: int = 0
    failing: int = 0


def vouchers(name: str, colours: Collection[Summary]) -> Vouchers:
    """Who is well by a check, and who fails it; nobody is where the summaries are old."""
    live = [colour for colour in colours if colour.processes]
    if any(colour.stale for colour in live):
        return Vouchers()
    said = [colour.parts.get("health", {}) for colour in live]
    failing = sum(int(one.get("failing", {}).get(name, 0)) for one in said)
    started = sum(int(one.get("started", 0)) for one in said)
    return Vouchers(max(0, started - failing), failing)
