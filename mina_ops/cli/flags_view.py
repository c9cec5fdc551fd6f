"""Flags as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mina_ops.cli import output

_DEFAULTS = {"enabled": False, "rollout_percent": 100.0}
"""A change names only fields that differ from their defaults; these two are worth telling."""


def state(flag: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """State, limits, release and owner of a flag, as cells of a table."""
    state = "off"
    if flag["enabled"]:
        percent = flag["rollout_percent"]
        state = "on" if percent == 100 else f"{percent:g} %"
    limits = [name for name in ("allow", "deny", "rules", "variants") if flag[name]]
    limits += flag["colours"]
    limits += [f">= {flag['minimum_release']}"] if flag["minimum_release"] else []
    return state, ", ".join(limits), flag["release"] or "", flag["owner"] or ""


def line(flag: Mapping[str, Any]) -> str:
    """A flag and who has applied it, in one line."""
    shown, limits, _, _ = state(flag)
    line = f"{flag['key']} is {shown}" + (f" ({limits})" if limits else "")
    if flag.get("confirmed"):
        line += f", applied by all {len(flag['applied_by'])} processes"
    return line


def difference(change: Mapping[str, Any]) -> str:
    """What a change did, field by field; the first three flags."""
    parts = []
    for key, after in change["after"].items():
        before = change["before"][key] or {}
        fields = sorted({*before, *(after or {})} - {"key"})
        moved = [f for f in fields if before.get(f) != (after or {}).get(f)]
        told = ", ".join(f"{f}: {_of(before, f)} -> {_of(after or {}, f)}" for f in moved)
        parts.append(f"{key} {'deleted' if after is None else told}")
    return "; ".join(parts[:3]) + ("; ..." if len(parts) > 3 else "")


def _of(fields: Mapping[str, Any], name: str) -> Any:
    return fields.get(name, _DEFAULTS.get(name, "default"))


def when(at: float) -> str:
    """A Unix time for people, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def warn_if_stale(body: Mapping[str, Any]) -> None:
    """Say on stderr when flags may be older than what the store holds."""
    if body.get("alert"):
        output.say(f"mina-ops: {body['alert']}; see `mina-ops flags recover --help`.")
    elif body.get("stale"):
        output.say("mina-ops: the shared state is away; these are the last known flags.")
