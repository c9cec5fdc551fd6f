"""One release in a few fields and lines, as `status`, `history` and `--json` show it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mina_ops.errors import OperatorError

if TYPE_CHECKING:
    from mina_ops.operator.release.journal import Entry, Journal


def summary(journal: Journal) -> dict[str, Any]:
    """Release, versions, phase, share, reasons and times of a journal."""
    progress = journal.progress()
    entries = journal.entries()
    return {
        "release": journal.release_id,
        "version": progress.detail.get("version"),
        "to": progress.detail.get("to"),
        "from": progress.detail.get("from"),
        "old_version": progress.detail.get("old_version"),
        "phase": progress.phase,
        "percent": progress.percent,
        "ended": progress.ended,
        "reasons": list(progress.detail.get("reasons", [])),
        "paused": _is_paused(entries),
        "notice": _last_notice(entries),
        "who": progress.detail.get("who"),
        "started_at": iso(entries[0].at) if entries else None,
        "last_entry_at": iso(entries[-1].at) if entries else None,
    }


def summary_or_damage(journal: Journal) -> dict[str, Any]:
    """`summary`; of a journal that cannot be read, what is wrong with it in place of reasons."""
    try:
        return summary(journal)
    except OperatorError as error:
        return {"release": journal.release_id, "phase": "?", "to": "?", "reasons": [str(error)]}


def iso(moment: float) -> str:
    """A Unix time as UTC text."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _is_paused(entries: list[Entry]) -> bool:
    paused = False
    for entry in entries:
        if entry.event in ("begin", "end"):
            paused = False
        elif entry.detail.get("notice") == "paused" or entry.detail.get("kind") == "pause":
            paused = True
        elif entry.detail.get("kind") in ("resume", "promote"):
            paused = False
    return paused


def _last_notice(entries: list[Entry]) -> str | None:
    for entry in reversed(entries):
        if entry.event in ("begin", "end"):
            return None
        if entry.detail.get("notice") in ("hold", "blind", "paused", "alert"):
            return f"{entry.detail['notice']}: {entry.detail.get('reason', '')}"
        if entry.detail.get("notice") == "over" or entry.detail.get("kind") == "resume":
            return None
    return None
