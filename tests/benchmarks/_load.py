"""Steady HTTP load until standard input ends: `_load.py PORT CONNECTIONS PAUSE_MS`.

Keep-alive connections send GET and POST in turn, some with a sticky key and some without. A
request fails if it gets no whole answer or a status other than 200; nothing is sent twice. The
last line is one JSON object: requests, failed, and the failures by kind.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter


class Client:
    """One visitor on one keep-alive connection at a time."""

    def __init__(self, port: int, number: int, pause: float, counts: Counter[str]) -> None:
        self._port = port
        self._cookie = f"Cookie: mina_key=visitor-{number}\r\n" if number % 2 else ""
        self._pause = pause
        self._counts = counts

    async def run(self, ended: asyncio.Event) -> None:
        """Send until `ended`, over a new connection whenever the server closed one."""
        while not ended.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self._fail("connect")
                continue
            try:
                while not ended.is_set() and await self._pair(reader, writer):
                    pass
            finally:
                writer.close()

    async def _pair(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for method in ("GET", "POST"):
            # A server may close an idle connection; only what was sent on it can fail.
            if reader.at_eof() or not await self._request(method, reader, writer):
                return False
            await asyncio.sleep(self._pause)
        return True

    async def _request(
        self, method: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        body = "x" if method == "POST" else ""
        writer.write(
            f"{method} / HTTP/1.1\r\nHost: mina.example\r\n{self._cookie}"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        self._counts["requests"] += 1
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            fields = dict(
                line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line
            )
            await reader.readexactly(int(fields.get("content-length", 0)))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._fail(f"{method} {type(error).__name__}")
            return False
        status = head.split(b" ", 2)[1].decode()
        if status != "200":
            self._fail(f"{method} {status}")
        return fields.get("connection") != "close"

    def _fail(self, kind: str) -> None:
        self._counts["failed"] += 1
        self._counts[kind] += 1


async def _main(port: int, connections: int, pause_ms: float) -> None:
    counts: Counter[str] = Counter(requests=0, failed=0)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    clients = [Client(port, n, pause_ms / 1000, counts) for n in range(connections)]
    await asyncio.gather(*(client.run(ended) for client in clients))
    print(json.dumps(counts))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
