"""Stock python-socketio clients with their default options, in a process of their own.

Usage: python -m tests.app.drain.python_clients URL KIND [KIND ...]

A KIND is `sync` or `async`, a colon, and `websocket`, `polling` or `default` (polling, then an
upgrade). One JSON line on stdout every 100 ms: KIND -> {"colour", "connects"}; the colour is null
while it is not connected. Ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Any

import socketio

found: dict[str, dict[str, Any]] = {}


def _colour(client: Any) -> str | None:
    sid = client.eio.sid if client.connected else None
    return None if sid is None else str(sid).partition(".")[0]


def _transports(transport: str) -> list[str] | None:
    return None if transport == "default" else [transport]


def run_sync(url: str, kind: str, transport: str) -> None:
    """A `socketio.Client` that knows nothing of hand-offs."""
    client = socketio.Client()
    connects = 0

    @client.event
    def connect() -> None:
        nonlocal connects
        connects += 1

    client.connect(url, transports=_transports(transport))
    while True:
        found[kind] = {"colour": _colour(client), "connects": connects}
        time.sleep(0.1)


async def run_async(url: str, kind: str, transport: str) -> None:
    """A `socketio.AsyncClient` that knows nothing of hand-offs."""
    client = socketio.AsyncClient()
    connects = 0

    @client.event
    async def connect() -> None:
        nonlocal connects
        connects += 1

    await client.connect(url, transports=_transports(transport))
    while True:
        found[kind] = {"colour": _colour(client), "connects": connects}
        await asyncio.sleep(0.1)


def main(url: str, kinds: list[str]) -> None:
    """Start them all and report until stdin ends."""
    for kind in kinds:
        family, _, transport = kind.partition(":")
        if family == "sync":
            target, arguments = run_sync, (url, kind, transport)
            threading.Thread(target=target, args=arguments, daemon=True).start()
        else:
            coroutine = run_async(url, kind, transport)
            threading.Thread(target=asyncio.run, args=(coroutine,), daemon=True).start()

    def report() -> None:
        while True:
            print(json.dumps(found), flush=True)
            time.sleep(0.1)

    threading.Thread(target=report, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
