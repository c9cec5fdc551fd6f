"""Flags that somebody changed while a release ran, and how to set them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mina_ops.errors import MinaOpsError, OperatorError
from mina_ops.operator.release.release import Release


@dataclass(frozen=True)
class Change:
    """A flag before the release and now: (enabled, percent); None where it did not exist."""

    key: str
    before: tuple[bool, Any] | None
    now: tuple[bool, Any] | None


def now(release: Release) -> Mapping[str, Any]:
    """Each flag's state by its key; {} where they cannot be read."""
    for colour in ("old_app", "new_app"):
        try:
            # A token that cannot be read is a problem of this step alone.
            found = getattr(release, colour).flags().get("flags", [])
            return {
                str(flag["key"]): [bool(flag.get("enabled")), flag.get("rollout_percent")]
                for flag in found
            }
        except (MinaOpsError, KeyError, TypeError):
            continue
    return {}


def changes(release: Release) -> list[Change]:
    """The flags that are not as they were when the release began; [] where nobody can tell."""
    try:
        before = release.journal.progress().detail.get("flags")
    except OperatorError:
        return []
    present = now(release)
    if before is None or not present:
        return []
    return [
        Change(key, _state(before.get(key)), _state(present.get(key)))
        for key in sorted({*before, *present})
        if before.get(key) != present.get(key)
    ]


def lines(release: Release) -> list[str]:
    """A sentence for each change, with what to type."""
    return [
        f"The flag {change.key} was changed during the release: {_shown(change.before)} before, "
        f"{_shown(change.now)} now. {_offer(change)}"
        for change in changes(release)
    ]


def set_back(release: Release) -> list[str]:
    """Set every changed flag back to what it was; says what was done.

    Raises:
        OperatorError: one could not be set; the message names it.
    """
    done = []
    for change in changes(release):
        if change.before is None:
            release.old_app.set_flag(change.key, enabled=False)
            done.append(f"{change.key} is off")
            continue
        enabled, percent = change.before
        fields = {} if percent is None else {"rollout_percent": percent}
        release.old_app.set_flag(change.key, enabled=enabled, **fields)
        done.append(f"{change.key} is {_shown(change.before)} again")
    return done


def _offer(change: Change) -> str:
    if change.before is None:
        return f"`mina-ops flags off {change.key}` turns it off."
    return (
        f"`mina-ops flags undo {change.key}` takes its last change back; `mina-ops rollback "
        "--flags` sets all of them back."
    )


def _state(value: Any) -> tuple[bool, Any] | None:
    return None if value is None else (bool(value[0]), value[1])


def _shown(state: tuple[bool, Any] | None) -> str:
    if state is None:
        return "not there"
    enabled, percent = state
    return (
        f"on for {percent:g} %" if enabled and percent is not None else "on" if enabled else "off"
    )
