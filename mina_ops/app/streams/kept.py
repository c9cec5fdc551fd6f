"""Says in the store which streams are still in work here although their clients are leaving.

Example: blue asks a session to leave, and is so busy that a chunk's body runs for 20 s. Its client
gave up on blue after 15 s and sends the chunk to green. Green finds the stream kept by blue, does
not take the chunk, and tells the client to come again shortly, until blue has let go: else both
would handle it. Only clients that say their run understand that, so only theirs are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.app.streams.stream import Session
from mina_ops.errors import StateUnavailable

# A process that is killed keeps nothing for longer than this.
KEPT_SECONDS = 5.0


class Kept:
    """What one process keeps; says so again on each beat until the last body has ended."""

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
        """Let go of what is no longer in work; the rest is let go once it has ended."""
        over = {stream for session in sessions if not session.receiving for stream in session.runs}
        with self._lock:
            own = [stream for stream in over if self._kept.pop(stream, None) is not None]
        self._write(dict.fromkeys(own))

    def beat(self) -> None:
        """Let go of what has ended meanwhile, and keep the rest."""
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
            # Said again on the next beat, and what is not said fades.
            return
