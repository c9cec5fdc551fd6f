"""Sessions and pages against one host until standard input ends; the last line is one JSON object.

`_sessions.py URL SESSIONS`: stock Socket.IO clients with their default reconnection, a page four
times a second, and the probe `ready` twice a second. Websockets only, since two workers without a
load balancer that knows them would refuse polling clients at random.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import suppress

import aiohttp
import socketio

NAMESPACE = "/live-transcription"
PAGE_SECONDS = 30.0
"""A page that takes longer is a hang."""


class Crowd:
    """Everybody who uses one host, and what became of them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.counts: Counter[str] = Counter()
        self.slowest_page = 0.0
        self.longest_unready = 0.0
        self._clients: list[socketio.AsyncClient] = []

    async def all_back(self) -> None:
        """Wait a while for those who are just coming back, and count who is there."""
        for _ in range(60):
            if all(client.connected for client in self._clients):
                break
            await asyncio.sleep(1)
        self.counts["connected_at_end"] = sum(client.connected for client in self._clients)

    async def session(self, number: int, ended: asyncio.Event) -> None:
        """One client that sends a chunk every few seconds while it is connected."""
        client = socketio.AsyncClient()
        self._clients.append(client)
        client.on("disconnect", lambda *_: self.counts.update(["disconnects"]), NAMESPACE)
        while not ended.is_set() and not client.connected:
            with suppress(socketio.exceptions.ConnectionError):
                await client.connect(
                    self._url, transports=["websocket"], namespaces=[NAMESPACE], wait_timeout=30
                )
        while not ended.is_set():
            await asyncio.sleep(4 + number % 10 / 10)
            if client.connected:
                try:
                    await client.call("echo", number, namespace=NAMESPACE, timeout=20)
                    self.counts["echoes"] += 1
                except (socketio.exceptions.SocketIOError, TimeoutError):
                    self.counts["echoes_cut"] += 1

    async def pages(self, ended: asyncio.Event) -> None:
        """A page four times a second, each over a connection of its own as behind a proxy."""
        number = 0
        while not ended.is_set():
            number += 1
            headers = {"X-Visitor": str(number % 50)}
            began = asyncio.get_running_loop().time()
            status, text = await self._get("/", headers)
            self.slowest_page = max(self.slowest_page, asyncio.get_running_loop().time() - began)
            self.counts["pages"] += 1
            self.counts["pages_failed"] += status != 200
            if status != 200:
                self.counts[f"page_{_why(status, text)}"] += 1
            await asyncio.sleep(0.25)

    async def probes(self, ended: asyncio.Event) -> None:
        """Whether the host is ready, as a load balancer sees it, from the first time that it is.

        A host without mina_ops has no such probe, and is never ready.
        """
        ready_at: float | None = None
        while not ended.is_set():
            status, text = await self._get("/api/health/ready", {})
            now = asyncio.get_running_loop().time()
            self.counts["probes"] += 1
            if status == 200:
                ready_at = now
            else:
                self.counts[f"probe_{_why(status, text)}"] += 1
            if ready_at is not None:
                self.longest_unready = max(self.longest_unready, now - ready_at)
            await asyncio.sleep(0.5)

    async def _get(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=PAGE_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.get(self._url + path, headers=headers) as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            return 0, type(exc).__name__


def _why(status: int, text: str) -> str:
    """A short word for a probe that did not say ready."""
    with suppress(ValueError, AttributeError):
        body = json.loads(text)
        return "_".join([str(status), *body.get("reasons", [])])
    return f"{status}_{text[:24]}"


async def main(url: str, sessions: int) -> None:
    """Until standard input ends."""
    crowd, ended = Crowd(url), asyncio.Event()
    users = [crowd.session(number, ended) for number in range(sessions)]
    # Held here, since a loop keeps none of its tasks alive.
    tasks = [asyncio.create_task(one) for one in users]
    tasks += [asyncio.create_task(crowd.pages(ended)), asyncio.create_task(crowd.probes(ended))]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await crowd.all_back()
    ended.set()
    times = {"slowest_page": crowd.slowest_page, "longest_unready": crowd.longest_unready}
    rounded = {f"{name}_seconds": round(seconds, 3) for name, seconds in times.items()}
    print(json.dumps({**crowd.counts, **rounded}), flush=True)
    # Not waiting for clients that try to come back, or for answers that never come.
    os._exit(0 if tasks else 1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
