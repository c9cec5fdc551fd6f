"""Anonymous clients that send one kind of request again and again, at a rate that is given."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.security.raw import get

_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
# Kind -> target and further header lines.
KINDS: Mapping[str, tuple[str, ...]] = {
    "handshakes": ("/socket.io/?EIO=4&transport=polling",),
    "wrong_handshakes": ("/socket.io/?EIO=9&transport=polling",),
    "raw_pings": ("/socket.io/?transport=websocket", *_UPGRADE),
    "probes": ("/api/health",),
    "metrics": ("/metrics",),
    "windows": ("/api/metrics/errors?window={n}",),
    "flags": ("/api/flags?unit={n}",),
    "guesses": ("/admin/drain", "Authorization: Bearer guess-{n}"),
}
_MOST_HELD = 40
_SENDERS = 2


class Flood:
    """`with Flood(port, "probes", per_second=100) as flood: ...`; `sent` says how many it were."""

    def __init__(self, port: int, kind: str, *, per_second: float) -> None:
        self.sent = 0
        self._port = port
        self._lines = KINDS[kind]
        self._holds = kind == "raw_pings"
        self._pause = _SENDERS / per_second
        self._over = threading.Event()
        self._held: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_SENDERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        for link in self._held:
            link.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            # One that comes late is not made up for: that would be a burst.
            due = max(due + self._pause, time.monotonic())
            self.sent += 1
            lines = [line.replace("{n}", str(self.sent)) for line in self._lines]
            with suppress(OSError):
                if self._holds:
                    self._hold(lines)
                else:
                    get(self._port, *lines, seconds=10)

    def _hold(self, lines: list[str]) -> None:
        """Upgrade, and then say nothing."""
        head = "\r\n".join((f"GET {lines[0]} HTTP/1.1", "Host: mina.example", *lines[1:]))
        link = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        link.sendall(f"{head}\r\n\r\n".encode())
        self._held.append(link)
        if len(self._held) > _MOST_HELD:
            self._held.pop(0).close()
