"""Handles each chunk of a client's stream once and in order, whichever colour it comes to.

A client numbers its chunks 1, 2, 3 ... within a stream, keeps each until it is acknowledged, and
after a reconnect sends again what it kept. All colours share the last acknowledged number.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from flask import has_request_context, request

from mina_ops.app.component import Component
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.app.streams.acknowledged import Marks
from mina_ops.app.streams.errors import OutOfOrder, SessionLeaves, StreamKept, StreamRefused
from mina_ops.app.streams.kept import Kept
from mina_ops.app.streams.refusals import Refusals
from mina_ops.app.streams.stream import UNSURE_GAP_SECONDS, Session, Stream
from mina_ops.errors import InvalidRequest

IDLE_SECONDS = 600.0
# How often idle streams are looked for; not on each beat, since a process may have thousands.
TIDY_SECONDS = 30.0
# How often a store that is away is asked again for a chunk that may be a duplicate.
ASK_SECONDS = 0.25

CurrentSession = Callable[[], Session | None]

Stored = Callable[[], int]
"""The last number whose effect the host has stored, read from where it stores the effect."""

_STREAM = re.compile(r"[!-~]{1,200}")


class Streams(Component):
    """Accepts the chunks of all streams of this process's clients.

    Args:
        session: returns the session whose event is being handled; None outside of Socket.IO.
        process_id: names this process among all.
    """

    name = "streams"

    def __init__(
        self, store: Store, session: CurrentSession = lambda: None, process_id: str = "own"
    ) -> None:
        self.refusals = Refusals()
        self.kept = Kept(store, process_id)
        self._store = store
        self._session = session
        self._marks = Marks(store)
        self._streams: dict[str, Stream] = {}
        self._unsaved: set[str] = set()
        self._tidy_at = 0.0
        self._lock = Lock()

    @contextmanager
    def receive(
        self, stream_id: str, seq: int, *, stored: Stored | None = None, user: object = None
    ) -> Iterator[bool]:
        """Handle chunk `seq` of a stream: the body runs with `fresh`, False for a duplicate.

        The number counts as acknowledged only if the body of a fresh chunk ends without an
        exception; else the same number may come again. Chunks of a stream are handled one at a
        time and in order, also with `async_handlers`: one that is early waits up to 1 s for the
        one before it to arrive (5 s where a mark may be lost), and as long as that runs, but not
        once its session ends. Waits for the store up to its timeout when a session sends its first
        chunk, and once after each body; without the store this process's memory decides, and the
        mark is saved when the store is back.

        Args:
            stream_id: up to 200 visible ASCII characters, unique to the stream.
            seq: 1 for the stream's first chunk, then one more each time.
            stored: returns the last number whose effect the host has stored. Give it if the effect
                can be there although the body raised, or although the store lost the mark.
            user: whose stream it is. Streams of two users are never the same, whatever their ids;
                without it, whoever knows or guesses an id can send to that stream.

        Raises:
            InvalidRequest: the id or the number cannot be used.
            OutOfOrder: the chunk before this one is missing.
            SessionLeaves: the session ends here, and the client goes on elsewhere.
            StreamTaken: another client sends this stream, or this one begins anew at 1.
        """
        _check(stream_id, seq)
        name = stream_id if user is None else f"{user}/{stream_id}"
        with _receiving(self._session(), self._lock) as session:
            try:
                run = None if session is None else session.runs.get(stream_id)
                fresh = self._begin(name, self._get(name, seq), seq, stored, session, run)
            except StreamRefused as exc:
                if isinstance(exc, OutOfOrder) and run is not None:
                    exc.tell()
                self.refusals.note(exc)
                raise
            if not fresh:
                yield False
                return
            done = False
            try:
                yield True
                done = True
            finally:
                if not done:
                    self.refusals.note(None)
                self._end(name, self._streams[name], seq if done else None)

    def mark(self, stream_id: str) -> int:
        """The last acknowledged number of a stream as far as this process knows; 0: none.

        Asks the store for a stream that is not in memory, so it may block up to its timeout.
        """
        stream = self._streams.get(stream_id)
        if stream is not None:
            return stream.mark
        return self._marks.read(keys.stream_mark(stream_id)) or 0

    def beat(self, now: float) -> None:
        """Save what the store has missed and forget idle streams; may raise `StateUnavailable`."""
        self.kept.beat()
        unsaved = {name: self._streams[name] for name in list(self._unsaved)}
        if unsaved:
            marks = {name: one.mark for name, one in unsaved.items()}
            self._marks.save_now({keys.stream_mark(name): mark for name, mark in marks.items()})
            # A stream whose mark grew meanwhile is saved by its next chunk, or on the next beat.
            self._unsaved -= {name for name, mark in marks.items() if unsaved[name].mark == mark}
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            self._forget_idle(time.monotonic() - IDLE_SECONDS)

    def _forget_idle(self, since: float) -> None:
        for name, stream in list(self._streams.items()):
            # A look without the lock first: most streams are in use and need none.
            if stream.used_at < since:
                with self._lock:
                    idle = not stream.running and not stream.arrived and name not in self._unsaved
                    if idle and stream.used_at < since:
                        self._streams.pop(name, None)

    def _get(self, stream_id: str, seq: int) -> Stream:
        with self._lock:
            stream = self._streams.setdefault(stream_id, Stream())
            stream.arrived.append(seq)
            stream.used_at = time.monotonic()
            return stream

    def _begin(
        self,
        name: str,
        stream: Stream,
        seq: int,
        stored: Stored | None,
        session: Session | None,
        run: str | None,
    ) -> bool:
        """Wait for this chunk's turn; True if it is to be handled."""
        try:
            if session is not None and session.leaving:
                raise SessionLeaves(f"Stream {name}: its session ends here.")
            known = self._meet(name, stream, seq, stored, session)
            with stream.lock:
                stream.mark = max(stream.mark, known)
                stream.check_run(name, seq, run)
                stream.wait_for_turn(name, seq, session, may_jump=stored is None)
                if seq <= stream.mark:
                    return False
                stream.running = True
                return True
        finally:
            with self._lock:
                stream.arrived.remove(seq)
            with stream.lock:
                stream.pass_on()

    def _meet(
        self,
        name: str,
        stream: Stream,
        seq: int,
        stored: Stored | None,
        session: Session | None,
    ) -> int:
        """The mark that the store or the host knows, if this process's may be behind, else 0."""
        # The Engine.IO sid, not Socket.IO's, which a recovered client keeps: from blue to green and
        # back to blue it would be the same, although blue's mark is behind.
        owner = _session() if session is None else session.sid
        if stream.owner == owner and stream.sure and not stream.failed:
            return 0
        key = keys.stream_mark(name)
        found = self._marks.look(key)
        until = time.monotonic() + UNSURE_GAP_SECONDS
        while found is None and seq > 1 and time.monotonic() < until:
            # Another process may have handled this chunk. After 5 s the memory decides.
            if session is not None and (session.leaving or session.ended):
                raise SessionLeaves(f"Stream {name}: its session ends here.")
            time.sleep(ASK_SECONDS)
            found = self._marks.look(key)
        mark, run, keeper = (found.mark, found.run, found.keeper) if found else (0, None, None)
        if keeper is not None and keeper != self.kept.process_id:
            raise StreamKept(f"Stream {name}: {keeper} still works on it.")
        if stored is not None:
            mark = max(mark, stored())
        with stream.lock:
            stream.failed = False
            stream.is_known = stream.is_known or mark > 0
            if not stream.is_run_unsaved:
                stream.run = run or stream.run
            if stream.owner != owner:
                stream.owner, stream.sure = owner, False
        return mark

    def _end(self, name: str, stream: Stream, seq: int | None) -> None:
        saved = seq is None or self._marks.save(keys.stream_mark(name), seq)
        if stream.is_run_unsaved and stream.run is not None:
            stream.is_run_unsaved = not self._marks.save_run(keys.stream_mark(name), stream.run)
        with stream.lock:
            if seq is not None:
                stream.mark, stream.sure, stream.is_known = seq, True, True
                if not saved:
                    self._unsaved.add(name)
            stream.failed = seq is None
            stream.running = False
            stream.used_at = time.monotonic()
            stream.pass_on()


@contextmanager
def _receiving(session: Session | None, lock: Lock) -> Iterator[Session | None]:
    """Count a chunk in `session.receiving`, from before it is looked at until its mark is saved.

    A drain does not close the session meanwhile; otherwise the client would send the chunk to the
    other colour, which could not know that it was handled here.
    """
    if session is None:
        yield None
        return
    with lock:
        session.receiving += 1
    try:
        yield session
    finally:
        with lock:
            session.receiving -= 1


def _check(stream_id: object, seq: object) -> None:
    if not isinstance(stream_id, str) or not _STREAM.fullmatch(stream_id):
        raise InvalidRequest("A stream's id is up to 200 visible ASCII characters.", field="stream")
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 1:
        raise InvalidRequest("A chunk's number is 1 or more.", field="seq")


def _session() -> str | None:
    return getattr(request, "sid", None) if has_request_context() else None
