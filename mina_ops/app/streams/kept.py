"""Tells the other colour, in the store, which streams are still handled here while clients leave.

Example: blue asks a session to leave, and is so busy that a chunk's body runs for 20 s. The client
gave up on blue after 15 s and sends the same chunk to green. Green finds that blue keeps the
stream, refuses the chunk, and tells the client to try again shortly, until blue has let go:
otherwise both would handle it. Only clients that send their run understand that, so only their
streams are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.app.streams.stream import Session
from mina_ops.errors import StateUnavailable

# What a killed process kept is free again after this time.
KEPT_SECONDS = 5.0


class Kept:
    """The streams that this process keeps; written again on each beat, until they are let go."""

    def __init__(self, store: Store, process_id: str) -> None:
        self.process_id = process_id
        self._store = store
        self._kept: dict[str, Session] = {}
        # Held for a few lines that never wait.
        self._lock = Lock()

    def keep(self, sessions: Iterable[Session]) -> None:
        """Keep the streams of sessions that are asked to leave; one round trip, never raises."""
        fresh = {stream: session for session in sessions for stream in session.runs}
        with self._lock:
            self._kept.update(fresh)
        self._write(dict.fromkeys(fresh, self.process_id.encode()))

    def let_go(self, sessions: Iterable[Session]) -> None:
        """Let go of the streams of sessions that have no chunk running; the rest stay kept."""
        over = {stream for session in sessions if not session.receiving for stream in session.runs}
        with self._lock:
            own = [stream for stream in over if self._kept.pop(stream, None) is not None]
        self._write(dict.fromkeys(own))

    def beat(self) -> None:
        """Let go of the streams of sessions that have ended, and keep the rest."""
        with self._lock:
            sessions = list(self._kept.values())
        self.let_go(session for session in sessions if session.ended)
        with self._lock:
            rest = list(self._kept)
        self._write(dict.fromkeys(rest, self.process_id.encode()))

    def _write(self, values: dict[str, bytes] | dict[str, None]) -> None:
        if not values:
            return
        named = {
            keys.keeper_of(keys.stream_mark(stream)): value for stream, value in values.items()
        }
        try:
            self._store.put_many(named, ttl_seconds=KEPT_SECONDS)
        except StateUnavailable:
            # The next beat writes what is kept again, and what was let go expires by itself.
            return
