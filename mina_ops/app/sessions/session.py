"""What this process knows of one client's Engine.IO session."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

MOST_RUNS = 64
"""Streams of one session whose run is remembered."""


@dataclass
class Session:
    """One client's Engine.IO session in this process."""

    sid: str
    since: float = field(default_factory=time.monotonic)
    active_at: float = 0.0
    """When it last sent an event, on the monotonic clock; 0: never."""
    running: set[int] = field(default_factory=set)
    """Handlers that run for it now or are about to, each as `id()` of the data it handles."""
    link: Any = None
    """The socket below its websocket, while a request holds it."""
    polls: int = 0
    """Long polls that are open now, waiting for something to send."""
    client: str = ""
    """The address of its handshake, see `client_of`."""
    agent: str = ""
    """The user agent of its handshake, see `agent_of`."""
    joined: bool = False
    """Whether it tried to join a namespace, with or without success."""
    leaving: bool = False
    """Whether streams take nothing more from it: a drain asked it to leave, and it answered or
    took too long."""
    receiving: int = 0
    """Chunks of its streams whose bodies run now."""
    ended: bool = False
    """Whether its socket is closed."""
    moving_at: float | None = None
    """When its client said that it is connecting elsewhere, on the monotonic clock."""
    pids: dict[str, str] = field(default_factory=dict)
    """Namespace -> the private id by which its client is recovered elsewhere."""
    runs: dict[str, str] = field(default_factory=dict)
    """Stream -> the client's run (a page load, say) that sends it, as its last chunk said."""
    waiting: set[Condition] = field(default_factory=set)
    """Conditions on which chunks of its streams wait for their turn; notified when it leaves or
    ends."""

    @property
    def in_flight(self) -> int:
        """How many handlers run for it now."""
        return len(self.running)

    def leave(self) -> None:
        """Streams take nothing more from it here; chunks that wait for their turn give up."""
        self.leaving = True
        self._wake()

    def end(self) -> None:
        """Note that its socket is closed; chunks that wait for their turn give up."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        for waits in list(self.waiting):
            with waits:
                waits.notify()

    def note_run(self, data: list[Any]) -> None:
        """Remember which run of the client sends a stream, if an event's first argument says so.

        Args:
            data: the event's name and its arguments.
        """
        message = data[1] if len(data) > 1 else None
        if isinstance(message, dict) and "run" in message:
            stream, run = message.get("stream"), message["run"]
            if isinstance(stream, str) and isinstance(run, str) and len(self.runs) < MOST_RUNS:
                self.runs[stream] = run
