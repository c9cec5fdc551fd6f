"""Says whether a Redis may evict our keys when its memory is full. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def evicting_policy(told: Mapping[str, Any]) -> str | None:
    """A sentence for an operator if some node may evict any key; else None.

    Args:
        told: what `INFO memory` says; of a cluster, node -> what it says.
    """
    nodes = [told] if "maxmemory_policy" in told else list(told.values())
    limited = [node for node in nodes if isinstance(node, Mapping) and node.get("maxmemory")]
    policies = {str(node.get("maxmemory_policy")) for node in limited}
    bad = sorted(policy for policy in policies if policy.startswith("allkeys-"))
    if not bad:
        return None
    return (
        f"Redis may evict flags, history and audit (maxmemory-policy {bad[0]}): use noeviction "
        "or volatile-*, or a Redis of its own"
    )
