"""The file of who got a letter: one line for each step, by the digest of the address."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from mina_ops import files
from mina_ops.operator.incident.bounces import Bounce
from mina_ops.operator.incident.recipients import Recipient


def note(journal: Path, recipient: Recipient, state: str) -> None:
    """Write down that a letter is `begun`, `sent` or `failed`, and wait until it is on the disk."""
    files.append(journal, json.dumps({"to": recipient.digest, "state": state}))


def note_bounces(journal: Path, bounces: Sequence[Bounce]) -> None:
    """Write down whose letters came back, of those who were written to."""
    known = states(journal)
    for bounce in bounces:
        digest = Recipient(bounce.address, "").digest
        if known.get(digest, {}).get("state") in ("sent", "begun"):
            entry = {"to": digest, "state": "bounced", "why": bounce.why}
            files.append(journal, json.dumps(entry))


def states(journal: Path) -> dict[str, dict[str, str]]:
    """digest of an address -> its newest `state`, and `why` of one that came back."""
    found: dict[str, dict[str, str]] = {}
    lines: Iterable[str] = journal.read_text().splitlines() if journal.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
            found[entry["to"]] = {"state": entry["state"], "why": str(entry.get("why", ""))}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
