"""What this process costs its Redis: connections, commands and bytes, counted as they pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_FRAME = 5
"""Bytes around a value of RESP: its type, its length, line ends; more for long values."""


@dataclass
class Cost:
    """What one process has cost its Redis since it began.

    Attributes:
        connections: connections in its pool; one that was lost and opened again counts once.
        commands: commands sent.
        sent_bytes: bytes written to the connections.
        received_bytes: bytes of the values in the answers, with an estimate for the protocol's
            frame around each: right within a tenth.
    """

    connections: int = 0
    commands: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


def count(client: Any) -> Cost:
    """Count what a client's connections do from now on; a cluster's are not counted."""
    cost = Cost()
    pool = getattr(client, "connection_pool", None) if _is_plain(client) else None
    if pool is not None:
        pool.connection_class = _counting(pool.connection_class, cost)
    return cost


def _is_plain(client: Any) -> bool:
    """Whether the client has its pool already. `LateCluster` would connect when asked for one."""
    return "connection_pool" in vars(client)


def _counting(connection: Any, cost: Cost) -> Any:
    class Counted(connection):  # type: ignore[misc]
        """A connection that counts what it does."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            cost.connections += 1

        def send_command(self, *args: Any, **options: Any) -> None:
            cost.commands += 1
            super().send_command(*args, **options)

        def pack_commands(self, commands: Iterable[Any]) -> Any:
            sent = list(commands)
            cost.commands += len(sent)
            return super().pack_commands(sent)

        def send_packed_command(self, command: Any, *args: Any, **options: Any) -> None:
            parts = [command] if isinstance(command, bytes | str) else command
            cost.sent_bytes += sum(map(len, parts))
            super().send_packed_command(command, *args, **options)

        def read_response(self, *args: Any, **options: Any) -> Any:
            answer = super().read_response(*args, **options)
            cost.received_bytes += _size(answer)
            return answer

    return Counted


def _size(answer: Any) -> int:
    if isinstance(answer, bytes | str):
        return len(answer) + _FRAME + len(str(len(answer)))
    if isinstance(answer, Sequence):
        return _FRAME + sum(map(_size, answer))
    return _FRAME
