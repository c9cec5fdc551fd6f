"""A store whose keys begin with the name of a product, so that several can share one Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mina_ops.app.state.base import (
    Change,
    Line,
    LogLine,
    Message,
    Reading,
    Register,
    Store,
    Subscription,
)

DEFAULT = "mina"


class ProductStore:
    """Passes every call on; each key's `mina:` at the beginning is replaced by the product's."""

    def __init__(self, inner: Store, product: str) -> None:
        self._inner = inner
        self._prefix = f"{product}:"
        self.name = inner.name
        self.shared = inner.shared
        self.cost = inner.cost

    def _there(self, key: str) -> str:
        return self._prefix + key.removeprefix(f"{DEFAULT}:")

    def _back(self, found: Mapping[str, bytes], keys: Sequence[str]) -> dict[str, bytes]:
        names = {self._there(key): key for key in keys}
        return {names[name]: value for name, value in found.items()}

    def ping(self) -> float:
        return self._inner.ping()

    def time(self) -> float:
        return self._inner.time()

    def oddity(self) -> str | None:
        return self._inner.oddity()

    def get(self, key: str) -> bytes | None:
        return self._inner.get(self._there(key))

    def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        return self._back(self._inner.get_all([self._there(key) for key in keys]), keys)

    def put(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> None:
        self._inner.put(self._there(key), value, ttl_seconds=ttl_seconds)

    def put_new(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> bool:
        return self._inner.put_new(self._there(key), value, ttl_seconds=ttl_seconds)

    def replace(
        self, key: str, old: bytes, new: bytes | None, *, ttl_seconds: float | None = None
    ) -> bool:
        return self._inner.replace(self._there(key), old, new, ttl_seconds=ttl_seconds)

    def delete(self, key: str) -> bool:
        return self._inner.delete(self._there(key))

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
        found = self._inner.announce(
            self._there(roster),
            member,
            value,
            ttl_seconds=ttl_seconds,
            unchanged=unchanged,
            read=[self._there(key) for key in read],
            versions=[self._there(register) for register in versions],
        )
        said = {register: found.versions[self._there(register)] for register in versions}
        return Reading(self._back(found.values, read), said)

    def withdraw(self, roster: str, member: str) -> None:
        self._inner.withdraw(self._there(roster), member)

    def members(self, roster: str) -> dict[str, bytes]:
        return self._inner.members(self._there(roster))

    def add(
        self,
        tallies: Mapping[str, Mapping[str, float]],
        *,
        ttl_seconds: float,
        once: str | None = None,
    ) -> None:
        there = {self._there(key): amounts for key, amounts in tallies.items()}
        self._inner.add(there, ttl_seconds=ttl_seconds, once=once)

    def totals(self, keys: Sequence[str]) -> dict[str, float]:
        return self._inner.totals([self._there(key) for key in keys])

    def read_register(self, key: str) -> Register:
        return self._inner.read_register(self._there(key))

    def read_version(self, key: str) -> tuple[str, int]:
        return self._inner.read_version(self._there(key))

    def change_register(self, key: str, change: Change) -> Register | None:
        log = None if change.log is None else self._there(change.log)
        hint = None if change.hint is None else self._there(change.hint)
        there = replace(change, log=log, hint=hint)
        return self._inner.change_register(self._there(key), there)

    def append(self, log: str, record: Mapping[str, str], *, keep: int = 10_000) -> None:
        self._inner.append(self._there(log), record, keep=keep)

    def records(
        self, log: str, *, count: int, before: str | None = None
    ) -> list[tuple[str, dict[str, str]]]:
        return self._inner.records(self._there(log), count=count, before=before)

    def advance(self, key: str, number: int, *, ttl_seconds: float) -> int:
        return self._inner.advance(self._there(key), number, ttl_seconds=ttl_seconds)

    def advance_all(self, marks: Mapping[str, int], *, ttl_seconds: float) -> None:
        there = {self._there(key): number for key, number in marks.items()}
        self._inner.advance_all(there, ttl_seconds=ttl_seconds)

    def put_many(self, values: Mapping[str, bytes | None], *, ttl_seconds: float) -> None:
        there = {self._there(key): value for key, value in values.items()}
        self._inner.put_many(there, ttl_seconds=ttl_seconds)

    def append_lines(self, lines: Sequence[LogLine], *, keep: int, ttl_seconds: float) -> None:
        there = [replace(line, log=self._there(line.log)) for line in lines]
        self._inner.append_lines(there, keep=keep, ttl_seconds=ttl_seconds)

    def lines_since(self, logs: Sequence[str], since: float) -> dict[str, list[Line]]:
        names = {self._there(log): log for log in logs}
        found = self._inner.lines_since(list(names), since)
        return {names[name]: lines for name, lines in found.items()}

    def publish(self, channel: str, message: str) -> None:
        self._inner.publish(self._there(channel), message)

    def listen(self, channels: Sequence[str], on_message: Message) -> Subscription:
        names = {self._there(channel): channel for channel in channels}
        return self._inner.listen(list(names), lambda channel: on_message(names[channel]))

    def close(self) -> None:
        self._inner.close()
