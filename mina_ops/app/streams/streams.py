"""Numbered streams from clients: each number handled once, in order, whichever colour gets it.

A client numbers its chunks 1, 2, 3 ... within a stream, keeps each until it is acknowledged, and
sends what it kept again after a reconnect. The last acknowledged number is shared by all colours.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock

from flask import has_request_context, request

from mina_ops.app.component import Component
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.app.streams.acknowledged import Marks
from mina_ops.errors import Conflict, InvalidRequest

# How long a chunk waits for the one before it, which may be with another thread by now.
GAP_SECONDS = 1.0
# Where the mark may be behind, longer: going on past a chunk that was only slow would lose it.
UNSURE_GAP_SECONDS = 5.0
IDLE_SECONDS = 600.0

Stored = Callable[[], int]
"""The last number whose effect a host has kept, read from where the effect itself lies."""

_STREAM = re.compile(r"[!-~]{1,200}")


class OutOfOrder(Conflict):
    """A chunk came without the one before it; its sender shall send both again, in order."""

    code = "out_of_order"


@dataclass
class _Stream:
    changed: Condition = field(default_factory=Condition)
    mark: int = 0
    owner: str | None = None
    """Session that the mark was last heard from: no other colour got its chunks meanwhile."""
    sure: bool = False
    """Whether `mark` cannot be behind: it is of a chunk that `owner` sent here."""
    failed: bool = False
    """Whether the last body raised: its effect may have been kept all the same."""
    running: bool = False
    arrived: list[int] = field(default_factory=list)
    """Numbers that wait for their turn, those whose mark is still being read among them."""
    unsaved: bool = False
    used_at: float = 0.0


class Streams(Component):
    """Accepts the chunks of all streams of this process's clients."""

    name = "streams"

    def __init__(self, store: Store) -> None:
        self._marks = Marks(store)
        self._streams: dict[str, _Stream] = {}
        self._lock = Lock()

    @contextmanager
    def receive(self, stream_id: str, seq: int, *, stored: Stored | None = None) -> Iterator[bool]:
        """Handle chunk `seq` of a stream: the body runs with `fresh`, False for a duplicate.

        The number counts as acknowledged only if the body of a fresh chunk ends without an
        exception; else the same number may come again. Chunks of a stream are handled one at a
        time and in order, also with `async_handlers`: one that is early waits up to 1 s for the
        one before it to arrive, and as long as that runs. Waits for the store up to its timeout
        when a session sends its first chunk, and once after each body; without the store this
        process's memory decides, and the mark is saved when the store is back.

        Args:
            stream_id: up to 200 visible ASCII characters, unique to the stream.
            seq: 1 for the stream's first chunk, then one more each time.

        Raises:
            InvalidRequest: the id or the number cannot be used.
            OutOfOrder: the chunk before this one is missing.
        """
        _check(stream_id, seq)
        stream = self._get(stream_id, seq)
        fresh = self._begin(stream_id, stream, seq, stored)
        if not fresh:
            yield False
            return
        done = False
        try:
            yield True
            done = True
        finally:
            self._end(stream_id, stream, seq if done else None)

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
        unsaved = {name: one for name, one in list(self._streams.items()) if one.unsaved}
        if unsaved:
            self._marks.save_now({keys.stream_mark(n): one.mark for n, one in unsaved.items()})
            for stream in unsaved.values():
                stream.unsaved = False
        idle_since = time.monotonic() - IDLE_SECONDS
        for stream_id, stream in list(self._streams.items()):
            with self._lock:
                idle = not stream.running and not stream.arrived
                if idle and stream.used_at < idle_since:
                    self._streams.pop(stream_id, None)

    def _get(self, stream_id: str, seq: int) -> _Stream:
        with self._lock:
            stream = self._streams.setdefault(stream_id, _Stream())
            stream.arrived.append(seq)
            stream.used_at = time.monotonic()
            return stream

    def _begin(self, stream_id: str, stream: _Stream, seq: int, stored: Stored | None) -> bool:
        """Wait for this chunk's turn; True if it is to be handled."""
        try:
            known = self._meet(stream_id, stream, stored)
            with stream.changed:
                stream.mark = max(stream.mark, known)
                waits_since = time.monotonic()
                while seq > stream.mark + 1 or (stream.running and seq == stream.mark + 1):
                    patience = GAP_SECONDS if stream.sure else UNSURE_GAP_SECONDS
                    left = waits_since + patience - time.monotonic()
                    if stream.running or min(stream.arrived) < seq:
                        stream.changed.wait(GAP_SECONDS)
                        waits_since = time.monotonic()
                    elif left > 0:
                        stream.changed.wait(left)
                    else:
                        self._jump(stream_id, stream, seq)
                if seq <= stream.mark:
                    return False
                stream.running = True
                return True
        finally:
            with self._lock:
                stream.arrived.remove(seq)

    def _meet(self, stream_id: str, stream: _Stream, stored: Stored | None) -> int:
        """The mark that others know if this process's own may be behind, else 0."""
        session = _session()
        if stream.owner == session and stream.sure and not stream.failed:
            return 0
        mark = self._marks.read(keys.stream_mark(stream_id)) or 0
        if stored is not None:
            mark = max(mark, stored())
        with stream.changed:
            stream.failed = False
            if stream.owner != session:
                stream.owner, stream.sure = session, False
        return mark

    def _jump(self, stream_id: str, stream: _Stream, seq: int) -> None:
        """Go on with a number whose predecessors nobody here has seen, or refuse it."""
        if stream.sure:
            raise OutOfOrder(
                f"Stream {stream_id}: {seq} came, {stream.mark + 1} is missing; send it again."
            )
        # The shared marks were lost: the sender keeps what is not acknowledged, so this is next.
        stream.mark = seq - 1

    def _end(self, stream_id: str, stream: _Stream, seq: int | None) -> None:
        saved = seq is None or self._marks.save(keys.stream_mark(stream_id), seq)
        with stream.changed:
            if seq is not None:
                stream.mark, stream.sure = seq, True
                stream.unsaved = not saved
            stream.failed = seq is None
            stream.running = False
            stream.used_at = time.monotonic()
            stream.changed.notify_all()


def _check(stream_id: object, seq: object) -> None:
    if not isinstance(stream_id, str) or not _STREAM.fullmatch(stream_id):
        raise InvalidRequest("A stream's id is up to 200 visible ASCII characters.", field="stream")
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 1:
        raise InvalidRequest("A chunk's number is 1 or more.", field="seq")


def _session() -> str | None:
    return getattr(request, "sid", None) if has_request_context() else None
