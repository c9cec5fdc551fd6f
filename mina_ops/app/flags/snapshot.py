"""All flags as of one moment, compiled for fast answers. Immutable."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from mina_ops.app.flags.continuity import Known
from mina_ops.app.flags.evaluate import Compiled, Place, Undecided, compile_flag, undecided
from mina_ops.app.flags.limits import ON_UNKNOWN
from mina_ops.app.flags.model import Flag, Pair, StoredFlag, from_bytes
from mina_ops.errors import InvalidRequest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The flags of one moment.

    Attributes:
        known: the stored forms, with their epoch and version.
        flags: those that this release can read.
        table: the compiled form of every entry.
    """

    known: Known = field(default_factory=Known)
    flags: Mapping[str, Flag] = field(default_factory=dict)
    table: Mapping[str, Compiled] = field(default_factory=dict)

    def entry(self, key: str, raw: bytes) -> StoredFlag:
        """An entry of the store; its flag is not read again if this snapshot holds it."""
        same = self.known.entries.get(key) == raw
        return StoredFlag(raw, self.flags.get(key) if same else None)


def build(
    known: Known,
    place: Place,
    before: Snapshot,
    own: Mapping[str, Pair] | None = None,
) -> Snapshot:
    """The snapshot of what is known.

    Args:
        before: what it holds in equal bytes is not read again.
        own: entries that this process changed itself, whose flags it has.
    """
    held = before.known.entries
    flags, table = dict(before.flags), dict(before.table)
    for key in held.keys() - known.entries.keys():
        flags.pop(key, None)
        del table[key]
    for key, raw in known.entries.items():
        if held.get(key) == raw:
            continue
        try:
            flags[key] = _flag(raw, (own or {}).get(key))
            table[key] = compile_flag(flags[key], place)
        except (ValueError, InvalidRequest, RecursionError) as exc:
            _log.warning("Flag %s cannot be read by this release (%s)", key, exc)
            flags.pop(key, None)
            table[key] = _unreadable(raw)
    return Snapshot(known, flags, table)


def _flag(raw: bytes, own: Pair | None) -> Flag:
    """The flag of an entry; raises as `from_bytes` does."""
    written = None if own is None else own[1]
    known = written.flag if written is not None and written.raw == raw else None
    return known or from_bytes(raw)


def _unreadable(raw: bytes) -> Compiled:
    """What an entry says that a later release wrote: its `on_unknown` alone is understood."""
    try:
        wish = json.loads(raw)["on_unknown"]
    except (ValueError, KeyError, TypeError, RecursionError):
        wish = "off"
    decision = undecided(wish if wish in ON_UNKNOWN else "off")
    if decision.reason != "error":
        return decision.enabled

    def refuse(_: object, __: object) -> NoReturn:
        raise Undecided("A later release wrote this flag, and it asks for an error then.")

    return refuse
