"""Hundreds of python-socketio clients, for machines without node.

They report as clients.mjs does.
"""

# ruff: noqa: E402 - gevent has to patch before anything else is imported
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import signal
import sys
import time
from collections import Counter
from typing import Any

import gevent
from gevent.event import Event

from mina_ops.app.clients import StreamClient

RAMP_SECONDS = 3.0
REPORT_SECONDS = 0.5
LAST_ACKS_SECONDS = 60.0
# A recorder whose buffer is full stops recording: what was recorded must not get lost.
BUFFERED_CHUNKS = 8
CHUNK = b"\x01" * 320


class Recorder:
    """One client: makes chunks on a timer, and streams them."""

    def __init__(self, number: int, options: dict[str, Any]) -> None:
        self.client = StreamClient(
            options["url"],
            event="audio:chunk",
            namespace="/live",
            auth={"token": options["token"]},
            transports=["websocket"] if number % 2 == 0 else ["polling"],
        ).start()
        self._payload = {"data": CHUNK, "session_id": options["session_id"]}
        self._seconds = options["chunk_interval_ms"] / 1000

    def record(self, stop: Event) -> None:
        """Send a chunk on each tick."""
        while not stop.wait(self._seconds):
            if self.client.waiting < BUFFERED_CHUNKS:
                self.client.send(self._payload)


def report(clients: list[StreamClient], *, final: bool) -> None:
    """Print the counts as one line of JSON."""
    counts: dict[str, Any] = {
        "clients": len(clients),
        "connected": sum(bool(client.socket.connected) for client in clients),
        "reconnected": sum(client.connects > 1 for client in clients),
        "reconnects": sum(max(0, client.connects - 1) for client in clients),
        "sent": sum(client.sent for client in clients),
        "acknowledged": sum(client.acknowledged for client in clients),
        "failed": sum(client.rejected for client in clients),
        "errors": dict(sum((client.errors for client in clients), Counter())),
        "final": final,
    }
    counts["waiting"] = counts["sent"] - counts["acknowledged"] - counts["failed"]
    if final:
        counts["streams"] = {client.stream: client.sent for client in clients}
    print(json.dumps(counts), flush=True)


def main() -> None:
    """Stream as the JSON of the first argument says until TERM; then empty the queues."""
    options = json.loads(sys.argv[1])
    clients: list[StreamClient] = []
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)

    def add_clients() -> None:
        for number in range(options["clients"]):
            if stop.wait(RAMP_SECONDS / options["clients"]):
                return
            recorder = Recorder(number, options)
            clients.append(recorder.client)
            gevent.spawn(recorder.record, stop)

    gevent.spawn(add_clients)
    while not stop.wait(REPORT_SECONDS):
        report(clients, final=False)
    deadline = time.monotonic() + LAST_ACKS_SECONDS
    while time.monotonic() < deadline and any(client.waiting for client in clients):
        gevent.sleep(0.05)
    report(clients, final=True)


if __name__ == "__main__":
    main()
