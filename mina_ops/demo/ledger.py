"""The chunk ledger: every handled chunk, so that losses and repeats can be counted.

Both colours write it through the same Redis, as lists `demo:chunks:<stream>` of the numbers in
the order of handling, and a set `demo:streams` of all streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from redis import Redis

_STREAMS = "demo:streams"


class Ledger(Protocol):
    """Where handled chunks are noted."""

    def record(self, stream: str, seq: int) -> None:
        """Note that chunk `seq` of the stream was handled now."""

    def last(self, stream: str) -> int:
        """The chunk that was handled last; 0: none."""

    def ping(self) -> None:
        """Return if the ledger can be written; raise otherwise."""

    def handled(self) -> dict[str, list[int]]:
        """The chunk numbers of each stream, in the order of handling."""


class MemoryLedger:
    """A ledger that ends with its process."""

    def __init__(self) -> None:
        self._streams: dict[str, list[int]] = {}

    def record(self, stream: str, seq: int) -> None:
        """Note that chunk `seq` of the stream was handled now."""
        self._streams.setdefault(stream, []).append(seq)

    def last(self, stream: str) -> int:
        """The chunk that was handled last; 0: none."""
        return self._streams.get(stream, [0])[-1]

    def ping(self) -> None:
        """Memory can always be written."""

    def handled(self) -> dict[str, list[int]]:
        """The chunk numbers of each stream, in the order of handling."""
        return {stream: list(seqs) for stream, seqs in self._streams.items()}


class RedisLedger:
    """A ledger that all processes of both colours share."""

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(url, decode_responses=True, socket_timeout=5.0)

    def record(self, stream: str, seq: int) -> None:
        """Note that chunk `seq` of the stream was handled now; one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.rpush(f"demo:chunks:{stream}", seq)
        if seq == 1:
            pipe.sadd(_STREAMS, stream)
        pipe.execute()

    def last(self, stream: str) -> int:
        """The chunk that was handled last; 0: none. It outlives a process that is killed."""
        return int(self._redis.lindex(f"demo:chunks:{stream}", -1) or 0)

    def ping(self) -> None:
        """Return if Redis answers; raise otherwise."""
        self._redis.ping()

    def handled(self) -> dict[str, list[int]]:
        """The chunk numbers of each stream, in the order of handling."""
        streams = sorted(self._redis.smembers(_STREAMS))
        pipe = self._redis.pipeline(transaction=False)
        for stream in streams:
            pipe.lrange(f"demo:chunks:{stream}", 0, -1)
        return {
            stream: [int(seq) for seq in seqs]
            for stream, seqs in zip(streams, pipe.execute(), strict=True)
        }


@dataclass(frozen=True)
class Tally:
    """What became of the chunks that were sent."""

    sent: int
    lost: int
    duplicated: int
    out_of_order: int


def tally(sent: Mapping[str, int], handled: Mapping[str, Sequence[int]]) -> Tally:
    """Compare what clients sent with what was handled.

    Args:
        sent: the number of chunks that each stream sent, numbered from 1.
        handled: the chunk numbers of each stream in the order of handling.
    """
    lost = duplicated = out_of_order = 0
    for stream, last in sent.items():
        seqs = handled.get(stream, ())
        lost += len(set(range(1, last + 1)) - set(seqs))
        duplicated += len(seqs) - len(set(seqs))
        out_of_order += sum(1 for a, b in pairwise(seqs) if b < a)
    return Tally(sum(sent.values()), lost, duplicated, out_of_order)


def open_ledger(redis_url: str | None) -> Ledger:
    """The shared ledger if there is a Redis, else one in memory."""
    return RedisLedger(redis_url) if redis_url else MemoryLedger()
