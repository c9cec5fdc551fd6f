"""The marks of streams (last acknowledged numbers) in the shared store, in batches.

While one batch is on its way, later calls are collected for the next one: an idle process asks the
store at once, a busy one sends few large batches. No lock is held while the store is asked: under
gevent, each hand-over of a contended lock takes a turn of the loop, and a few hundred waiters would
keep each other waiting for minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import StateUnavailable

MARK_TTL_SECONDS = 86_400.0
# After a failure the store is not asked for this long, so that not every chunk waits for a timeout.
STORE_PAUSE_SECONDS = 1.0
# How long to wait for a batch: longer than any store's timeout, so it has ended or its task died.
_BATCH_SECONDS = 10.0

_Answer = TypeVar("_Answer")
Send = Callable[[Mapping[str, int]], Mapping[str, _Answer]]


@dataclass(frozen=True)
class Found:
    """What the store knows of a stream.

    Attributes:
        mark: the last acknowledged number; 0: none.
        run: which run of a client sent it, see `Stream.check_run`; None: not known.
        keeper: id of the process that still handles a chunk although its client leaves, see
            `kept.py`.
    """

    mark: int = 0
    run: str | None = None
    keeper: str | None = None


@dataclass
class _Batch(Generic[_Answer]):
    asked: dict[str, int] = field(default_factory=dict)
    over: Event = field(default_factory=Event)
    answers: Mapping[str, _Answer] = field(default_factory=dict)


class Marks:
    """Reads and raises marks in the store; after a failure, not for a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._again_at = 0.0
        self._reads = _Batches(self._try(self._read))
        self._writes = _Batches(self._try(self._write))
        self._runs = _Batches(self._try(self._write_runs))

    def read(self, key: str) -> int | None:
        """A stream's mark in the store, 0 if there is none; None if the store does not answer."""
        found = self._reads.ask(key, 0)
        return None if found is None else found.mark

    def look(self, key: str) -> Found | None:
        """What the store knows of a stream; None if it does not answer."""
        return self._reads.ask(key, 0)

    def save_run(self, key: str, run: str) -> bool:
        """Write which run sends the stream; True once that is in the store."""
        return self._runs.ask(f"{key} {run}", 0) is not None

    def save(self, key: str, number: int) -> bool:
        """Raise a mark; True once that is in the store, False if the store does not answer."""
        return self._writes.ask(key, number) is not None

    def save_now(self, marks: Mapping[str, int]) -> None:
        """Raise marks that were not saved before; raises `StateUnavailable`."""
        self._write(marks)

    def _read(self, marks: Mapping[str, int]) -> Mapping[str, Found]:
        asked = [(key, keys.run_of(key), keys.keeper_of(key)) for key in marks]
        found = self._store.get_all([name for names in asked for name in names])
        text = {name: value.decode() for name, value in found.items()}
        return {
            key: Found(int(text.get(key, 0)), text.get(run), text.get(keeper))
            for key, run, keeper in asked
        }

    def _write_runs(self, runs: Mapping[str, int]) -> Mapping[str, int]:
        for pair in runs:
            key, _, run = pair.partition(" ")
            self._store.put(keys.run_of(key), run.encode(), ttl_seconds=MARK_TTL_SECONDS)
        return runs

    def _write(self, marks: Mapping[str, int]) -> Mapping[str, int]:
        self._store.advance_all(marks, ttl_seconds=MARK_TTL_SECONDS)
        return marks

    def _try(self, send: Send[_Answer]) -> Send[_Answer]:
        def tried(marks: Mapping[str, int]) -> Mapping[str, _Answer]:
            if time.monotonic() < self._again_at:
                return {}
            try:
                return send(marks)
            except StateUnavailable:
                self._again_at = time.monotonic() + STORE_PAUSE_SECONDS
                return {}

        return tried


class _Batches(Generic[_Answer]):
    """Collects the questions of many threads and sends them together, one batch at a time."""

    def __init__(self, send: Send[_Answer]) -> None:
        self._send = send
        # Held for a few lines that never wait.
        self._lock = Lock()
        self._gathering: _Batch[_Answer] = _Batch()
        self._last: _Batch[_Answer] = _Batch()
        self._last.over.set()

    def ask(self, key: str, number: int) -> _Answer | None:
        """The answer for a key, blocks until its batch is answered; None if it was not."""
        with self._lock:
            batch, previous = self._gathering, self._last
            is_first = not batch.asked
            batch.asked[key] = max(number, batch.asked.get(key, 0))
        if is_first:
            previous.over.wait(_BATCH_SECONDS)
            self._send_batch(batch)
        else:
            batch.over.wait(_BATCH_SECONDS)
        return batch.answers.get(key)

    def _send_batch(self, batch: _Batch[_Answer]) -> None:
        with self._lock:
            self._gathering, self._last = _Batch(), batch
        try:
            batch.answers = self._send(batch.asked)
        finally:
            batch.over.set()
