"""Python clients that send a numbered chunk each so often: what clients.mjs is for node.

    python -m tests.benchmarks._pythons '{"url", "clients", "kind", "transport", "interval_ms"}'

`kind` is `client` or `async_client` for stock python-socketio with default options, which emits
"plain" events, `moving_client` or `async_moving_client` for ours that do the same, or
`stream_client` for the one that numbers chunks. `transport` is `websocket`, `polling` or `default`
(polling, then an upgrade). The reports are those of clients.mjs: `connected`, `colours`, `sent`,
`acknowledged`, and once a line came on stdin `streams`, `gaps_ms`, `usual_gaps_ms` and `final`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import socketio
from socketio.exceptions import BadNamespaceError

from mina_ops.app.clients import MovingClient, StreamClient
from mina_ops.app.clients.moving_async import AsyncMovingClient

# What comes later has nothing to do with the hand-over.
OVER_SECONDS = 2.0
LAST_ACKS_SECONDS = 15.0


@dataclass
class Talk:
    """What one client sent, and how long it waited between two answers."""

    stream: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent: int = 0
    acknowledged: int = 0
    gap: float = 0.0
    usual: float = 0.0
    socket: Any = None
    """The stock client that is in use."""
    connects: int = 0
    _answered_at: float | None = None
    _handed_off: bool = False
    _over_at: float | None = None

    def connected(self) -> None:
        """It is connected, for the first time or again."""
        self.connects += 1
        if self._handed_off:
            self._over_at = time.monotonic() + OVER_SECONDS

    def handed_off(self, *_told: Any) -> None:
        """Its server lets it go, or has ended the connection."""
        self._handed_off = True

    def answered(self, *_answer: Any) -> None:
        """A chunk was acknowledged."""
        self.acknowledged += 1
        now, before = time.monotonic(), self._answered_at
        self._answered_at = now
        if before is None or (self._over_at is not None and now > self._over_at):
            return
        if self._handed_off:
            self.gap = max(self.gap, now - before)
        else:
            self.usual = max(self.usual, now - before)

    def colour(self) -> str | None:
        """Where it is connected."""
        sid = self.socket.eio.sid if self.socket is not None and self.socket.connected else None
        return None if sid is None else str(sid).partition(".")[0]

    def next(self) -> dict[str, Any]:
        """The next event of a stock client."""
        self.sent += 1
        return {"stream": self.stream, "seq": self.sent}


class Clients:
    """All of them, and whether they shall go on."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.url, transport = str(options["url"]), str(options["transport"])
        self.transports = None if transport == "default" else [transport]
        self.interval = float(options["interval_ms"]) / 1000
        self.all = [Talk() for _ in range(int(options["clients"]))]
        self.over = threading.Event()

    def report(self, **more: Any) -> None:
        """One line about all."""
        colours = [colour for talk in self.all if (colour := talk.colour())]
        told = {"connected": len(colours), "colours": Counter(colours), **more}
        for name in ("sent", "acknowledged"):
            told[name] = sum(getattr(talk, name) for talk in self.all)
        print(json.dumps(told), flush=True)

    def final(self) -> None:
        """The last line."""
        self.report(
            final=True,
            streams={talk.stream: talk.sent for talk in self.all},
            gaps_ms=[1000 * talk.gap for talk in self.all],
            usual_gaps_ms=[1000 * talk.usual for talk in self.all],
        )


def client(clients: Clients, talk: Talk) -> None:
    """A `socketio.Client` that knows nothing of hand-offs."""
    talk.socket = socket = socketio.Client()
    socket.on("connect", talk.connected)
    socket.on("disconnect", talk.handed_off)
    socket.connect(clients.url, transports=clients.transports, wait_timeout=30)
    while not clients.over.wait(clients.interval):
        if socket.connected:
            try:
                socket.emit("plain", talk.next(), callback=talk.answered)
            except BadNamespaceError:  # it was disconnected since the line before
                talk.sent -= 1


async def async_client(clients: Clients, talk: Talk) -> None:
    """A `socketio.AsyncClient` that knows nothing of hand-offs."""
    talk.socket = socket = socketio.AsyncClient()
    socket.on("connect", talk.connected)
    socket.on("disconnect", talk.handed_off)
    await socket.connect(clients.url, transports=clients.transports, wait_timeout=30)
    while not clients.over.is_set():
        await asyncio.sleep(clients.interval)
        if socket.connected:
            try:
                await socket.emit("plain", talk.next(), callback=talk.answered)
            except BadNamespaceError:
                talk.sent -= 1


def moving_client(clients: Clients, talk: Talk) -> None:
    """A `MovingClient`, which moves, and keeps what it is given between two connections."""
    ours = MovingClient(clients.url, transports=clients.transports)
    ours.on("connect", talk.connected)
    ours.on("session:handoff", talk.handed_off)
    ours.connect(wait_timeout=30)
    while not clients.over.wait(clients.interval):
        talk.socket = ours.socket
        ours.emit("plain", talk.next(), callback=talk.answered)
    until = time.monotonic() + LAST_ACKS_SECONDS / 2
    while talk.acknowledged < talk.sent and time.monotonic() < until:
        time.sleep(0.05)
    ours.disconnect()


async def async_moving_client(clients: Clients, talk: Talk) -> None:
    """An `AsyncMovingClient`, which does the same."""
    ours = AsyncMovingClient(clients.url, transports=clients.transports)
    ours.on("connect", talk.connected)
    ours.on("session:handoff", talk.handed_off)
    await ours.connect(wait_timeout=30)
    while not clients.over.is_set():
        await asyncio.sleep(clients.interval)
        talk.socket = ours.socket
        await ours.emit("plain", talk.next(), callback=talk.answered)
    until = time.monotonic() + LAST_ACKS_SECONDS / 2
    while talk.acknowledged < talk.sent and time.monotonic() < until:
        await asyncio.sleep(0.05)
    await ours.disconnect()


IN_ONE_LOOP = {"async_client": async_client, "async_moving_client": async_moving_client}


async def all_in_one_loop(clients: Clients, kind: str) -> None:
    """All of them in one event loop."""
    await asyncio.gather(*(IN_ONE_LOOP[kind](clients, talk) for talk in clients.all))


def stream_client(clients: Clients, talk: Talk) -> None:
    """A `StreamClient`, which moves."""
    ours = StreamClient(
        clients.url, event="chunk", stream=talk.stream, transports=clients.transports
    )
    ours._line.on("connect", talk.connected)
    ours._line.on("session:handoff", talk.handed_off)
    with ours:
        while not clients.over.wait(clients.interval):
            talk.socket = ours.socket
            talk.sent += 1
            ours.send().add_done_callback(talk.answered)
        ours.flush(LAST_ACKS_SECONDS)


IN_THREADS = {
    "client": client,
    "moving_client": moving_client,
    "stream_client": stream_client,
}


def main(options: Mapping[str, Any]) -> None:
    """Run them until a line comes on stdin, then report for the last time."""
    clients, kind = Clients(options), str(options["kind"])
    if kind in IN_ONE_LOOP:
        threads = [threading.Thread(target=asyncio.run, args=(all_in_one_loop(clients, kind),))]
    else:
        run = IN_THREADS[kind]
        threads = [threading.Thread(target=run, args=(clients, talk)) for talk in clients.all]
    for thread in threads:
        thread.daemon = True
        thread.start()

    def report() -> None:
        while not clients.over.wait(0.1):
            clients.report()

    threading.Thread(target=report, daemon=True).start()
    sys.stdin.readline()
    clients.over.set()
    for thread in threads:
        thread.join(LAST_ACKS_SECONDS)
    clients.final()
    sys.stdin.read()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
