"""Keeps events and clients' states in the shared store; emitting never waits for it."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from threading import Event, Lock, Thread
from typing import Any

from mina_ops.app.recovery.model import FOREIGN, Entry, EventId
from mina_ops.app.state import keys
from mina_ops.app.state.base import LogLine, Store
from mina_ops.errors import StateUnavailable

_log = logging.getLogger(__name__)

# How long entries are collected before they are written together.
FLUSH_SECONDS = 0.02
RETRY_SECONDS = 0.5
# How many events may wait while the store is away. Beyond, the oldest is lost, and no client is
# recovered from before that moment.
MOST_WAITING = 20_000
MOST_IN_A_BATCH = 500


class Log:
    """Writes events and clients' states in batches, from a thread of its own, and reads them.

    Args:
        seconds: how long both are kept.
        events: how many events of each room are kept.
    """

    def __init__(self, store: Store, *, seconds: float, events: int) -> None:
        self.epoch = secrets.token_hex(3)
        """Names what the store holds; a new name once it lost events, so older marks are void."""
        self._store = store
        self._seconds = seconds
        self._events = events
        self._lines: deque[LogLine] = deque()
        self._states: dict[str, bytes | None] = {}
        self._lock = Lock()
        self._wake = Event()
        self._is_broken = False
        self._over = False
        self._runs = False

    def add(self, namespace: str, entry: Entry) -> None:
        """Write an event soon; returns at once."""
        fields: dict[str, bytes] = {
            "e": str(entry.event).encode(),
            "t": f"{entry.at:.3f}".encode(),
            "s": json.dumps(entry.skip).encode(),
        }
        for number, part in enumerate(entry.packet):
            kind = "t" if isinstance(part, str) else "b"
            fields[f"{number}{kind}"] = part.encode() if isinstance(part, str) else part
        once = str(entry.event) if entry.event.emitter.startswith(FOREIGN) else None
        with self._lock:
            self._lines.append(LogLine(keys.room_log(namespace, entry.room), fields, once))
            if len(self._lines) > MOST_WAITING:
                self._lines.popleft()
                # An event is lost, so nobody can say any more what a client has missed.
                self.epoch, self._is_broken = secrets.token_hex(3), True
        self._start()

    def save(self, pid: str, state: Mapping[str, Any] | None) -> None:
        """Write a client's state soon, or (None) delete it; returns at once."""
        with self._lock:
            self._states[pid] = None if state is None else json.dumps(state).encode()
        self._start()

    def state(self, pid: str) -> dict[str, Any] | None:
        """A client's state; None if there is none. May raise `StateUnavailable`."""
        raw = self._store.get(keys.recovery_state(pid))
        return None if raw is None else json.loads(raw)

    def read(self, namespace: str, rooms: Iterable[str], since: float) -> list[Entry] | None:
        """Events of rooms since a moment, in order; None if some of them are gone already.

        One round trip, however many rooms; may raise `StateUnavailable`.
        """
        names = list(rooms)
        logs = {keys.room_log(namespace, room): room for room in names}
        found = self._store.lines_since(list(logs), since)
        entries: list[tuple[float, Entry]] = []
        for key, lines in found.items():
            if len(lines) >= self._events:
                return None
            entries += [(at, _entry(logs[key], fields)) for at, fields in lines]
        entries.sort(key=lambda pair: (pair[0], pair[1].event.number))
        return [entry for _, entry in entries]

    def close(self) -> None:
        """End the thread; what waits is written first, if the store takes it."""
        self._over = True
        self._wake.set()

    def _start(self) -> None:
        self._wake.set()
        if not self._runs and not self._over:
            self._runs = True
            Thread(target=self._run, name="mina_ops-recovery", daemon=True).start()

    def _run(self) -> None:
        while not self._over:
            self._wake.wait(60)
            self._wake.clear()
            time.sleep(FLUSH_SECONDS)
            try:
                while self._flush():
                    pass
            except StateUnavailable:
                time.sleep(RETRY_SECONDS)
                self._wake.set()
            except Exception:
                _log.exception("Events could not be logged for recovery")
                time.sleep(RETRY_SECONDS)

    def _flush(self) -> bool:
        with self._lock:
            lines = [self._lines[n] for n in range(min(len(self._lines), MOST_IN_A_BATCH))]
            states = dict(list(self._states.items())[:MOST_IN_A_BATCH])
        if not lines and not states:
            return False
        self._store.put_many(
            {keys.recovery_state(pid): value for pid, value in states.items()},
            ttl_seconds=self._seconds,
        )
        self._store.append_lines(lines, keep=self._events, ttl_seconds=self._seconds)
        self.agree()
        with self._lock:
            for _ in lines:
                self._lines.popleft()
            for pid, value in states.items():
                if self._states.get(pid) is value:
                    del self._states[pid]
        return True

    def agree(self) -> str:
        """Take over the epoch that is in the store, or write ours if there is none; returns it.

        An emptied store has none: the first process to notice writes its own, and all others take
        that. May raise `StateUnavailable`.
        """
        key, epoch = keys.RECOVERY_EPOCH, self.epoch
        if self._is_broken:
            self._store.put(key, epoch.encode())
            self._is_broken = False
        elif not self._store.put_new(key, epoch.encode()):
            found = (self._store.get(key) or epoch.encode()).decode()
            if self.epoch == epoch:
                self.epoch = found
        return self.epoch


def _entry(room: str, fields: Mapping[str, bytes]) -> Entry:
    emitter, _, number = fields["e"].decode().rpartition(".")
    parts = sorted(name for name in fields if name[0].isdigit())
    packet = [
        fields[name].decode() if name.endswith("t") else fields[name]
        for name in sorted(parts, key=lambda name: int(name[:-1]))
    ]
    at, skip = float(fields["t"]), tuple(json.loads(fields["s"]))
    return Entry(EventId(emitter, int(number)), at, room, skip, tuple(packet))
