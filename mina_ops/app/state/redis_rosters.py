"""Rosters in Redis: a set of members' names, and a key for each member, which expires.

Functions raise what redis-py raises; every key is one as Redis knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.crc import key_slot

from mina_ops.app.state import keys
from mina_ops.app.state.scripts import EPOCH, VERSION


@dataclass(frozen=True)
class Also:
    """What is read in the round trip of an announcement.

    Attributes:
        values: keys.
        registers: keys of registers, of which epoch and version are read.
    """

    values: Sequence[str]
    registers: Sequence[str]


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
    together = _by_slot(also.values)
    for wanted in together:
        # Not `mget`: a cluster's pipeline refuses that by name.
        pipe.execute_command("MGET", *wanted)
    kept, _, *found = pipe.execute()
    if not kept:
        # The key had expired, or Redis was emptied: PEXPIRE found nothing.
        client.set(key, value, px=ttl_ms)
    told, answers = found[: len(also.registers)], found[len(also.registers) :]
    values = {
        name: value
        for names, answer in zip(together, answers, strict=True)
        for name, value in zip(names, answer, strict=True)
    }
    return [values[name] for name in also.values], told


def _by_slot(names: Sequence[str]) -> list[list[str]]:
    """Keys that one command may read together: those of a cluster's slot, which one node holds."""
    found: dict[int, list[str]] = {}
    for name in names:
        found.setdefault(key_slot(name.encode()), []).append(name)
    return list(found.values())


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
