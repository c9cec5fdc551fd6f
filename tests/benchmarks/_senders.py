"""Sends hostile requests at a rate, over connections that stay open, with bare sockets.

    _senders.py PORT KIND[,KIND ...] PER_SECOND SECONDS

Of several kinds each has its turn, and every request calls itself another client, so that a load
balancer deals them out. An upgraded websocket is closed at once. The last line is one JSON object:
`sent`, `answered`, `by_status`, `seconds`, and `cpu_seconds` of this sender; SIGTERM ends it early.
Requests are sent when they are due, whether or not the ones before were answered, over as many
connections as that takes (64 at most); what is due while all of them wait is counted as `held_up`.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter

from tests.security.flood import KINDS

_MOST = 64
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class Sender(asyncio.Protocol):
    """One connection: a request at a time, again after each answer's end."""

    def __init__(self, free: list[Sender], statuses: Counter[str]) -> None:
        self._free = free
        self._statuses = statuses
        self._buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._free.append(self)

    def send(self, request: bytes) -> None:
        """Send one request; the answer frees this connection again."""
        assert self.transport is not None
        self._buffer = b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, gap, body = self._buffer.partition(b"\r\n\r\n")
        if not gap:
            return
        if head[9:12] == b"101":
            self._statuses["101"] += 1
            if self.transport is not None:
                self.transport.close()
            return
        length = _LENGTH.search(head)
        whole = body.endswith(b"0\r\n\r\n") if length is None else len(body) >= int(length[1])
        if whole:
            self._statuses[head[9:12].decode()] += 1
            closes = b"\r\nconnection: close" in head.lower()
            if not closes:
                self._free.append(self)
            elif self.transport is not None:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self in self._free:
            self._free.remove(self)


async def flood(port: int, kinds: list[str], rate: float, seconds: float) -> dict[str, object]:
    """Send, and say what became of it."""
    loop, free, statuses = asyncio.get_running_loop(), list[Sender](), Counter[str]()
    counts, opened = Counter[str](), list[Sender]()
    heads = [
        "\r\n".join((f"GET {target} HTTP/1.1", "Host: mina.example", "User-Agent: h{n}", *lines))
        for target, *lines in (KINDS[kind] for kind in kinds)
    ]
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    began, due = time.perf_counter(), 0.0
    while (now := time.perf_counter() - began) < seconds and not over.is_set():
        while due <= now:
            due += 1 / rate
            opened = [one for one in opened if one.transport is not None]
            if not free and len(opened) < _MOST:
                _, one = await loop.create_connection(
                    lambda: Sender(free, statuses), "127.0.0.1", port
                )
                opened.append(one)
            if not free:
                counts["held_up"] += 1
                continue
            counts["sent"] += 1
            head = heads[counts["sent"] % len(heads)]
            text = head.replace("{n}", str(counts["sent"]))
            free.pop().send(f"{text}\r\n\r\n".encode())
        await asyncio.sleep(0.001)
    await asyncio.sleep(1)
    return {
        **counts,
        "answered": sum(statuses.values()),
        "by_status": dict(statuses),
        "seconds": now,
        "cpu_seconds": time.process_time(),
    }


if __name__ == "__main__":
    _port, _kinds, _rate, _seconds = sys.argv[1:]
    told = asyncio.run(flood(int(_port), _kinds.split(","), float(_rate), float(_seconds)))
    print(json.dumps(told))
