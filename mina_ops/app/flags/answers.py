"""Changes as the endpoints show them. Pure."""

from __future__ import annotations

from typing import Any

from mina_ops.app.flags.editor import shown
from mina_ops.app.flags.model import from_bytes
from mina_ops.app.flags.repository import Changed, Record
from mina_ops.errors import InvalidRequest


def turns_off(changed: Changed) -> bool:
    """Whether a flag that was on is off or gone."""
    for before, after in changed.entries.values():
        try:
            was_on = before is not None and from_bytes(before).enabled
            is_on = after is not None and from_bytes(after).enabled
        except (ValueError, InvalidRequest):
            return True
        if was_on and not is_on:
            return True
    return False


def change_shown(record: Record) -> dict[str, Any]:
    """A record of the log, with each flag before and after."""
    return {
        "id": record.id,
        "flags_version": record.version,
        "at": record.at,
        "actor": record.author.actor,
        "address": record.author.address,
        "correlation_id": record.author.correlation_id,
        "action": record.action,
        "note": record.note or None,
        "undoes": record.undoes,
        "before": {key: shown(old) for key, (old, _) in record.entries.items()},
        "after": {key: shown(new) for key, (_, new) in record.entries.items()},
    }
