"""A store in the memory of one process: the contract of `base.py` without a server."""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mina_ops.app.state.base import Change, Line, LogLine, Message, Reading, Register, Subscription
from mina_ops.app.state.cost import Cost

_FEW_VALUES = 1000
"""Up to this many values nobody looks for expired ones."""


class _Listener:
    def __init__(self, store: MemoryStore, channels: Sequence[str], on_message: Message) -> None:
        self._store = store
        self.channels = frozenset(channels)
        self.on_message = on_message

    def close(self) -> None:
        self._store._listeners.discard(self)


class MemoryStore:
    """A `Store` in this process's memory; nothing is shared and nothing outlives it."""

    name = "memory"
    shared = False

    def __init__(self) -> None:
        self.cost = Cost()
        self._lock = threading.RLock()
        self._values: dict[str, tuple[bytes, float]] = {}
        self._sweep_beyond = _FEW_VALUES
        self._rosters: dict[str, dict[str, tuple[bytes, float]]] = defaultdict(dict)
        self._tallies: dict[str, tuple[dict[str, float], float]] = {}
        self._registers: dict[str, Register] = {}
        self._logs: dict[str, list[tuple[str, dict[str, str]]]] = defaultdict(list)
        self._lines: dict[str, list[Line]] = defaultdict(list)
        self._last_id = 0
        self._listeners: set[_Listener] = set()

    def ping(self) -> float:
        return 0.0

    def time(self) -> float:
        return time.time()

    def oddity(self) -> str | None:
        return None

    def get(self, key: str) -> bytes | None:
        with self._lock:
            value, expires = self._values.get(key, (None, 0.0))
            return value if expires > time.monotonic() else None

    def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        found = ((key, self.get(key)) for key in keys)
        return {key: value for key, value in found if value is not None}

    def put(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> None:
        with self._lock:
            self._values[key] = (value, _expiry(ttl_seconds))
            if len(self._values) > self._sweep_beyond:
                self._forget_expired()

    def put_new(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> bool:
        with self._lock:
            if self.get(key) is not None:
                return False
            self.put(key, value, ttl_seconds=ttl_seconds)
            return True

    def replace(
        self, key: str, old: bytes, new: bytes | None, *, ttl_seconds: float | None = None
    ) -> bool:
        with self._lock:
            if self.get(key) != old:
                return False
            if new is None:
                return self.delete(key)
            self.put(key, new, ttl_seconds=ttl_seconds)
            return True

    def delete(self, key: str) -> bool:
        with self._lock:
            existed = self.get(key) is not None
            self._values.pop(key, None)
            return existed

    def announce(
        self,
        roster: str,
        member: str,
        value: bytes,
        *,
        ttl_seconds: float,
        unchanged: bool = False,
        read: Sequence[str] = (),
        versions: Sequence[str] = (),
    ) -> Reading:
        with self._lock:
            self._rosters[roster][member] = (value, _expiry(ttl_seconds))
            found = {register: self.read_version(register) for register in versions}
            return Reading(self.get_all(read), found)

    def withdraw(self, roster: str, member: str) -> None:
        with self._lock:
            self._rosters[roster].pop(member, None)

    def members(self, roster: str) -> dict[str, bytes]:
        now = time.monotonic()
        with self._lock:
            alive = {m: entry for m, entry in self._rosters[roster].items() if entry[1] > now}
            self._rosters[roster] = alive
            return {member: value for member, (value, _) in alive.items()}

    def add(
        self,
        tallies: Mapping[str, Mapping[str, float]],
        *,
        ttl_seconds: float,
        once: str | None = None,
    ) -> None:
        now = time.monotonic()
        with self._lock:
            for key in [key for key, (_, expires) in self._tallies.items() if expires <= now]:
                del self._tallies[key]
            if once is not None:
                mark = f"once:{once}"
                if mark in self._tallies:
                    return
                self._tallies[mark] = ({}, now + ttl_seconds)
            for key, amounts in tallies.items():
                fields, _ = self._tallies.get(key, ({}, 0.0))
                for name, amount in amounts.items():
                    fields[name] = fields.get(name, 0.0) + amount
                self._tallies[key] = (fields, now + ttl_seconds)

    def totals(self, keys: Sequence[str]) -> dict[str, float]:
        sums: dict[str, float] = defaultdict(float)
        now = time.monotonic()
        with self._lock:
            for key in keys:
                fields, expires = self._tallies.get(key, ({}, 0.0))
                if expires > now:
                    for name, amount in fields.items():
                        sums[name] += amount
        return dict(sums)

    def read_register(self, key: str) -> Register:
        with self._lock:
            return self._registers.get(key, Register("", 0))

    def read_version(self, key: str) -> tuple[str, int]:
        register = self.read_register(key)
        return register.epoch, register.version

    def change_register(self, key: str, change: Change) -> Register | None:
        with self._lock:
            old = self.read_register(key)
            if any(old.entries.get(name) != value for name, value in change.expect.items()):
                return None
            kept = {n: v for n, v in old.entries.items() if n not in change.remove}
            epoch = old.epoch if old.epoch and not change.new_epoch else uuid.uuid4().hex
            new = Register(epoch, old.version + 1, {**kept, **change.put})
            self._registers[key] = new
            if change.log:
                record = {**change.record, "version": str(new.version)}
                self.append(change.log, record, keep=change.keep)
        if change.hint:
            self.publish(change.hint, str(new.version))
        return Register(epoch, new.version)

    def append(self, log: str, record: Mapping[str, str], *, keep: int = 10_000) -> None:
        with self._lock:
            self._last_id += 1
            self._logs[log].append((f"{self._last_id:016d}", dict(record)))
            del self._logs[log][:-keep]

    def records(
        self, log: str, *, count: int, before: str | None = None
    ) -> list[tuple[str, dict[str, str]]]:
        with self._lock:
            older = [entry for entry in self._logs[log] if before is None or entry[0] < before]
            return [(name, dict(fields)) for name, fields in reversed(older[-count:])]

    def advance(self, key: str, number: int, *, ttl_seconds: float) -> int:
        with self._lock:
            mark = max(number, int(self.get(key) or number))
            self.put(key, str(mark).encode(), ttl_seconds=ttl_seconds)
            return mark

    def advance_all(self, marks: Mapping[str, int], *, ttl_seconds: float) -> None:
        for key, number in marks.items():
            self.advance(key, number, ttl_seconds=ttl_seconds)

    def put_many(self, values: Mapping[str, bytes | None], *, ttl_seconds: float) -> None:
        with self._lock:
            for key, value in values.items():
                if value is None:
                    self.delete(key)
                else:
                    self.put(key, value, ttl_seconds=ttl_seconds)

    def append_lines(self, lines: Sequence[LogLine], *, keep: int, ttl_seconds: float) -> None:
        now = time.time()
        with self._lock:
            for line in lines:
                once = f"{line.log}:once:{line.once}"
                if line.once is not None and not self.put_new(once, b"", ttl_seconds=ttl_seconds):
                    continue
                log = self._lines[line.log]
                log.append((now, dict(line.fields)))
                del log[:-keep]
            for name in [n for n, log in self._lines.items() if log[-1][0] < now - 2 * ttl_seconds]:
                del self._lines[name]

    def lines_since(self, logs: Sequence[str], since: float) -> dict[str, list[Line]]:
        with self._lock:
            return {
                log: [(at, dict(fields)) for at, fields in self._lines.get(log, ()) if at >= since]
                for log in logs
            }

    def publish(self, channel: str, message: str) -> None:
        for listener in list(self._listeners):
            if channel in listener.channels:
                listener.on_message(channel)

    def listen(self, channels: Sequence[str], on_message: Message) -> Subscription:
        listener = _Listener(self, channels, on_message)
        self._listeners.add(listener)
        return listener

    def close(self) -> None:
        self._listeners.clear()

    def _forget_expired(self) -> None:
        """Drop expired values; again when twice as many as are left now have been written.

        Example: recovery writes one for each client. Each is written under a name of its own, so
        nobody would ever read, and so notice, those that expired.
        """
        now = time.monotonic()
        self._values = {key: held for key, held in self._values.items() if held[1] > now}
        self._sweep_beyond = max(_FEW_VALUES, 2 * len(self._values))


def _expiry(ttl_seconds: float | None) -> float:
    return float("inf") if ttl_seconds is None else time.monotonic() + ttl_seconds
