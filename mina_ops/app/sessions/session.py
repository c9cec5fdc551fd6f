"""One client's Engine.IO session in this process, and what is known of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

MOST_RUNS = 64


@dataclass
class Session:
    """One client's Engine.IO session in this process."""

    sid: str
    since: float = field(default_factory=time.monotonic)
    active_at: float = 0.0
    """When it last sent an event, on the monotonic clock; 0: never."""
    running: set[int] = field(default_factory=set)
    """Handlers that run for it now, or are about to; each by the identity of what it handles."""
    link: Any = None
    """The socket below its websocket, while a request holds it."""
    polls: int = 0
    """Long polls that wait for something to be sent."""
    client: str = ""
    """Where its handshake came from; see `client_of`."""
    agent: str = ""
    """What its handshake called itself."""
    joined: bool = False
    leaving: bool = False
    """It was asked to leave and has had its time: streams take nothing more from it here."""
    receiving: int = 0
    """Chunks of its streams whose bodies run now."""
    ended: bool = False
    moving_at: float | None = None
    """When its client said that it is connecting elsewhere, on the monotonic clock."""
    pids: dict[str, str] = field(default_factory=dict)
    """Namespace -> the private id by which its client is recovered elsewhere."""
    runs: dict[str, str] = field(default_factory=dict)
    """Stream -> which life of the client sends it, as the client's last chunk said."""
    waiting: set[Condition] = field(default_factory=set)
    """Notified when it leaves or ends: chunks of its streams that wait for their turns."""

    @property
    def in_flight(self) -> int:
        """How many handlers run for it now."""
        return len(self.running)

    def leave(self) -> None:
        """It was asked to leave and has had its time: streams take nothing more from it here."""
        self.leaving = True
        self._wake()

    def end(self) -> None:
        """Its socket is closed."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        for waits in list(self.waiting):
            with waits:
                waits.notify()

    def note_run(self, data: list[Any]) -> None:
        """Remember which life of its client sends a stream, where an event says so."""
        message = data[1] if len(data) > 1 else None
        if isinstance(message, dict) and "run" in message:
            stream, run = message.get("stream"), message["run"]
            if isinstance(stream, str) and isinstance(run, str) and len(self.runs) < MOST_RUNS:
                self.runs[stream] = run
