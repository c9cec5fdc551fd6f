"""Entries of the audit log as one line each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mina_ops.app.admin.audit import Entry
from mina_ops.app.releases.contract import KINDS

_DRAINS = {
    "drain.begin": "drain of {} begun",
    "drain.tighten": "drain of {}: less time",
    "drain.cancel": "drain of {} taken back",
}


def shown(entry: Entry) -> dict[str, Any]:
    """A change as the page's data has it: `id, at` (Unix time), `actor, text`."""
    return {"id": entry.id, "at": entry.at, "actor": entry.actor, "text": text(entry)}


def text(entry: Entry) -> str:
    """What was done to what."""
    if entry.action in _DRAINS:
        return _DRAINS[entry.action].format(entry.subject)
    if entry.action.startswith("flag."):
        return _flag(entry)
    if entry.action == "switch":
        return _switch(entry)
    if entry.action.startswith("release."):
        return _release(entry)
    if entry.action.startswith("freeze."):
        return _freeze(entry)
    words = entry.action.replace(".", " ").replace("_", " ")
    return f"{words}: {entry.subject}" if entry.subject else words


def mark(entry: Entry) -> dict[str, Any] | None:
    """A mark for the charts: switches, drains and releases; None for other changes."""
    kind = entry.action.partition(".")[0]
    if kind not in ("drain", "switch", "traffic", "release", "rollback"):
        return None
    kind = {"traffic": "switch", "rollback": "release"}.get(kind, kind)
    return {"at": entry.at, "kind": kind, "text": text(entry)}


def _release(entry: Entry) -> str:
    word = entry.action.removeprefix("release.")
    if word in KINDS:
        return f"{word} asked of release {entry.subject}"
    told = entry.after if isinstance(entry.after, Mapping) else {}
    name = f"release {told.get('version') or entry.subject}"
    if word == "begin":
        return f"{name} begun: {told.get('from')} to {told.get('to')}"
    why = "; ".join(map(str, told.get("reasons") or ()))
    return f"{name} {word.replace('_', ' ')}: {why}" if why else f"{name} {word.replace('_', ' ')}"


def _switch(entry: Entry) -> str:
    before, after = (_percent(side) for side in (entry.before, entry.after))
    parts = [
        f"{colour} {before[colour]} to {share} %" if colour in before else f"{colour} {share} %"
        for colour, share in sorted(after.items())
    ]
    return f"traffic: {', '.join(parts)}"


def _freeze(entry: Entry) -> str:
    if entry.action == "freeze.lift":
        return "freeze of releases lifted"
    why = entry.after.get("why") if isinstance(entry.after, Mapping) else ""
    return f"releases frozen: {why}" if why else "releases frozen"


def _percent(side: Any) -> Mapping[str, Any]:
    found = side.get("percent") if isinstance(side, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _flag(entry: Entry) -> str:
    after = entry.after if isinstance(entry.after, Mapping) else {}
    if len(after) != 1:
        return f"{entry.action.removeprefix('flag.').replace('_', ' ')}: {entry.subject}"
    key, value = next(iter(after.items()))
    if not isinstance(value, Mapping):
        return f"flag {key}: deleted"
    state = "on" if value.get("enabled") else "off"
    percent = value.get("rollout_percent")
    share = f", {percent:g} %" if state == "on" and isinstance(percent, int | float) else ""
    return f"flag {key}: {state}{share}"
