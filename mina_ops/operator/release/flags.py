"""Flags that somebody changed while a release ran, and how to set them back.

Before anything changes, all flags are written beside the journal as an export. What is different
afterwards is named when the release is taken back, and can be set back exactly, rules included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from mina_ops import files
from mina_ops.errors import MinaOpsError
from mina_ops.operator.api.flags import FlagsClient
from mina_ops.operator.release.release import Release

EXPORT = "/admin/flags/-/export"
FILE = "flags.json"
"""In the journal's folder, as `mina-ops flags import` takes it."""

Flag = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Change:
    """A flag as it was before the release and as it is now; None: it did not exist."""

    key: str
    before: Flag | None
    now: Flag | None

    def describe(self) -> str:
        """What changed, for a person."""
        was, present = _shown(self.before), _shown(self.now)
        if was != present:
            return f"{self.key}: {was} before, {present} now"
        names = {*(self.before or {}), *(self.now or {})}
        differing = sorted(
            n for n in names if (self.before or {}).get(n) != (self.now or {}).get(n)
        )
        return f"{self.key}: other {', '.join(differing)}"


def keep(release: Release) -> None:
    """Write down all flags; does nothing where they cannot be read.

    Raises:
        NotWritten: the disk is full.
    """
    found = _now(release)
    if found is not None:
        text = json.dumps({"flags": list(found.values())}, indent=1, sort_keys=True)
        files.write(release.journal.folder / FILE, text + "\n")


def changes(release: Release) -> list[Change]:
    """The flags that are not as they were when the release began; [] where nobody can tell.

    Those that the release itself owns are left out: the rollback has turned them off.
    """
    before, present = _kept(release), _now(release)
    if before is None or present is None:
        return []
    found = [Change(k, before.get(k), present.get(k)) for k in sorted({*before, *present})]
    return [one for one in found if one.before != one.now and not _is_settled(one, release)]


def lines(release: Release) -> list[str]:
    """What changed, and what to type; [] if nothing did."""
    found = changes(release)
    if not found:
        return []
    named = "; ".join(change.describe() for change in found)
    command = f"mina-ops release restore-flags {release.journal.release_id}"
    return [f"Flags were changed during the release: {named}. `{command}` sets them back."]


def set_back(release: Release) -> list[str]:
    """Set every changed flag back to exactly what it was, in one step; one that is new goes off.

    Returns what was set back, a line for each flag.

    Raises:
        OperatorError: the app refuses, or does not answer; nothing was changed.
    """
    found = changes(release)
    wanted = [c.before or {**(c.now or {}), "enabled": False} for c in found]
    if wanted:
        _through_either(release, lambda client: client.load(wanted))
    return [_restored(change) for change in found]


def _kept(release: Release) -> Mapping[str, Flag] | None:
    try:
        exported = json.loads((release.journal.folder / FILE).read_bytes())
        return {str(flag["key"]): flag for flag in exported["flags"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _now(release: Release) -> Mapping[str, Flag] | None:
    with suppress(MinaOpsError, KeyError, TypeError):
        exported = _through_either(release, FlagsClient.export)
        return {str(flag["key"]): flag for flag in exported["flags"]}
    return None


def _through_either(release: Release, act: Callable[[FlagsClient], T]) -> T:
    """Through the old colour or, if it cannot, the new one: both share the same flags."""
    try:
        return act(FlagsClient(release.old_app))
    except MinaOpsError:
        return act(FlagsClient(release.new_app))


def _is_settled(change: Change, release: Release) -> bool:
    owner = (change.now or change.before or {}).get("release")
    is_new_and_off = change.before is None and not (change.now or {}).get("enabled")
    return owner == release.version or is_new_and_off


def _restored(change: Change) -> str:
    return f"{change.key} is off" if change.before is None else f"{change.key} is as it was"


def _shown(flag: Flag | None) -> str:
    if flag is None:
        return "not there"
    if not flag.get("enabled"):
        return "off"
    percent = flag.get("rollout_percent")
    return "on" if percent is None else f"on for {percent:g} %"
