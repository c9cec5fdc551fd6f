"""Decides which flags a process uses when the store has lost some that it knew. Pure.

A Redis that was emptied, or failed over to a replica that lagged behind, must not turn a killed
flag on or a live one off. So a process keeps what it knew, says that it is stale, and applies on
top only what is written from then on. The first change by a process that knows, or an admin's
`recover`, writes everything back under a new epoch whose origins name the lost one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mina_ops.app.state.base import Register

ORIGIN = ":origin"
"""Entry of the register: the epochs that it continues, oldest first, with commas between."""

_MOST_ORIGINS = 10

Entries = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Known:
    """What a process knows: all entries at an epoch and version.

    `loss` says in words how the store stopped continuing it, `base` is what the store held
    then; None while it does continue.
    """

    epoch: str = ""
    version: int = 0
    entries: Entries = field(default_factory=dict)
    loss: str | None = None
    base: Entries = field(default_factory=dict)


def reconcile(known: Known, register: Register) -> Known:
    """What to believe now that the store holds `register`; idempotent."""
    theirs = flags_of(register.entries)
    if _continues(known, register):
        return Known(register.epoch, register.version, theirs)
    loss, base = known.loss, known.base
    if loss is None:
        loss, base = _loss(known, register)
    entries = dict(known.entries)
    for key in base.keys() | theirs.keys():
        if theirs.get(key) != base.get(key):
            if key in theirs:
                entries[key] = theirs[key]
            else:
                entries.pop(key, None)
    return Known(known.epoch, known.version, entries, loss, theirs)


def is_lost(known: Known, register: Register) -> bool:
    """Whether the store does not continue what somebody knows."""
    return not _continues(known, register)


def origins(known: Known, register: Register) -> bytes:
    """The origins of a register that continues both what is known and what is there."""
    names = register.entries.get(ORIGIN, b"").decode().split(",")
    names += [register.epoch, known.epoch]
    kept = list(dict.fromkeys(name for name in names if name))
    return ",".join(kept[-_MOST_ORIGINS:]).encode()


def flags_of(entries: Entries) -> dict[str, bytes]:
    """The entries that are flags; names of others begin with a colon."""
    return {name: raw for name, raw in entries.items() if not name.startswith(":")}


def _continues(known: Known, register: Register) -> bool:
    if known.epoch == "":
        return True
    if register.epoch == known.epoch:
        whole = known.loss is None or flags_of(register.entries) == known.entries
        return register.version >= known.version and whole
    return known.epoch in register.entries.get(ORIGIN, b"").decode().split(",")


def _loss(known: Known, register: Register) -> tuple[str, Entries]:
    if register.epoch == known.epoch:
        behind = known.version - register.version
        return f"the store went back by {behind} changes", flags_of(register.entries)
    if register.epoch == "":
        return "the store was emptied", {}
    return "the store was emptied and written anew", {}
