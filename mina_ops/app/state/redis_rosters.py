"""Rosters in Redis: a set of members' names, and a key for each member, which expires.

Functions raise what redis-py raises; every key is one as Redis knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mina_ops.app.state import keys
from mina_ops.app.state.scripts import EPOCH, VERSION


@dataclass(frozen=True)
class Also:
    """What is read in the round trip of an announcement.

    Attributes:
        values: keys.
        registers: keys of registers, of which epoch and version are read.
        at_once: whether one command reads all values, which costs Redis less. In a cluster the
            keys lie on several nodes, of which no command can read.
    """

    values: Sequence[str]
    registers: Sequence[str]
    at_once: bool


def announce(
    client: Any, roster: str, member: str, value: bytes, *, ttl_ms: int, unchanged: bool, also: Also
) -> tuple[list[bytes | None], list[list[bytes | None]]]:
    """See `Store.announce`. Returns the values, and (epoch, version) of each register."""
    key = keys.of_member(roster, member)
    pipe = client.pipeline(transaction=False)
    if unchanged:
        pipe.pexpire(key, ttl_ms)
    else:
        pipe.set(key, value, px=ttl_ms)
    pipe.sadd(roster, member)
    for register in also.registers:
        pipe.hmget(register, [EPOCH, VERSION])
    if also.at_once and also.values:
        pipe.mget(also.values)
    elif not also.at_once:
        for wanted in also.values:
            pipe.get(wanted)
    kept, _, *found = pipe.execute()
    if not kept:
        # The key had expired, or Redis was emptied: PEXPIRE found nothing.
        client.set(key, value, px=ttl_ms)
    told, values = found[: len(also.registers)], found[len(also.registers) :]
    return (values[0] if also.at_once and also.values else values), told


def withdraw(client: Any, roster: str, member: str) -> None:
    """See `Store.withdraw`."""
    pipe = client.pipeline(transaction=False)
    pipe.delete(keys.of_member(roster, member))
    pipe.srem(roster, member)
    pipe.execute()


def members(client: Any, roster: str) -> dict[str, bytes]:
    """See `Store.members`."""
    names = [name.decode() for name in client.smembers(roster)]
    if not names:
        return {}
    values = client.mget([keys.of_member(roster, name) for name in names])
    found = dict(zip(names, values, strict=True))
    gone = [name for name, value in found.items() if value is None]
    if gone:
        # One that comes back at this moment is on the roster again with its next beat.
        client.srem(roster, *gone)
    return {name: value for name, value in found.items() if value is not None}
