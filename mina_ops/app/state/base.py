"""The port of the shared state: what a store must do for the features above it.

Keys are text that begins with `mina:` (see `keys.py`), values are bytes. Every call may raise
`StateUnavailable` within the store's own timeout (0.2 s by default) and never retries: the
heartbeat comes round again. No call belongs on the path of a host's request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mina_ops.app.state.cost import Cost

Message = Callable[[str], None]


@dataclass(frozen=True)
class Register:
    """A versioned hash, read at one moment.

    `epoch` changes when the store has lost the register's data. So an emptied Redis differs from
    one in which all entries were removed on purpose: there the epoch stays. `version` grows by one
    with each change. A register that was never written has epoch "".
    """

    epoch: str
    version: int
    entries: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One atomic change of a register.

    Args:
        put: entries to write.
        remove: entries to delete.
        expect: what an entry must hold for the change to be made; None: must not exist.
        log: the log that gets `record` in the same step, if any.
        record: fields of the log's record; the new version is added as `version`.
        keep: about how many records the log keeps.
        hint: channel that is told the new version, if any.
        new_epoch: begin a new life of the register, since the store lost part of the last one.
    """

    put: Mapping[str, bytes] = field(default_factory=dict)
    remove: Sequence[str] = ()
    expect: Mapping[str, bytes | None] = field(default_factory=dict)
    log: str | None = None
    record: Mapping[str, str] = field(default_factory=dict)
    keep: int = 10_000
    hint: str | None = None
    new_epoch: bool = False


@dataclass(frozen=True)
class Reading:
    """What was read beside an announcement: values of keys that exist, versions of registers."""

    values: Mapping[str, bytes]
    versions: Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class LogLine:
    """A line of a log that expires when nothing is appended to it any more.

    Args:
        log: the log's key.
        fields: what the line holds.
        once: a name for the line. When several processes append a line of the same name, only
            the first is kept. The log's key must then have a hash tag.
    """

    log: str
    fields: Mapping[str, bytes]
    once: str | None = None


Line = tuple[float, dict[str, bytes]]
"""When a line was appended, seconds since the epoch by the store's clock, and its fields."""


class Subscription(Protocol):
    """A listener on channels."""

    def close(self) -> None:
        """Stop listening; idempotent."""


class Store(Protocol):
    """What the processes of both colours share. One contract suite runs over every store."""

    name: str
    """`redis` or `memory`."""

    shared: bool
    """Whether other processes see it."""

    cost: Cost
    """What this process has cost the store so far."""

    def ping(self) -> float:
        """Seconds that a round trip took."""

    def time(self) -> float:
        """Seconds since the epoch by the store's own clock, which all its users share."""

    def oddity(self) -> str | None:
        """What an operator should mend about the store, if anything; never raises."""

    def get(self, key: str) -> bytes | None:
        """The value, or None."""

    def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values of those keys that exist, in one round trip."""

    def put(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> None:
        """Write a value, which expires after `ttl_seconds` if given."""

    def put_new(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> bool:
        """Write a value unless the key exists; atomic. True if it was written."""

    def replace(
        self, key: str, old: bytes, new: bytes | None, *, ttl_seconds: float | None = None
    ) -> bool:
        """Write `new` (None: delete) if the key still holds `old`; atomic. True if it was done."""

    def delete(self, key: str) -> bool:
        """Delete a key; True if it existed."""

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
        """Put a member on a roster for `ttl_seconds`; call again within that time to stay on it.

        Args:
            unchanged: the value is the one that was announced last, so it need not be sent again.
            read: keys to read in the same round trip.
            versions: registers whose epoch and version to read in the same round trip.

        Returns:
            What was read; keys that do not exist are left out.
        """

    def withdraw(self, roster: str, member: str) -> None:
        """Take a member off a roster at once; idempotent."""

    def members(self, roster: str) -> dict[str, bytes]:
        """Who is on a roster now: member -> value. Removes the names of members that expired."""

    def add(
        self,
        tallies: Mapping[str, Mapping[str, float]],
        *,
        ttl_seconds: float,
        once: str | None = None,
    ) -> None:
        """Add amounts to fields of tallies (key -> field -> amount), in one round trip.

        Additions commute, so no process loses another's. Each tally then expires `ttl_seconds`
        from now.

        Args:
            once: a name for these additions, which are then atomic and made once, however often
                the call is repeated within `ttl_seconds`. Example: a server answered too late, so
                nobody knows whether it added; the caller repeats the call with the same name. The
                keys must then share one hash tag.
        """

    def totals(self, keys: Sequence[str]) -> dict[str, float]:
        """The sum of each field over tallies; keys share one hash tag. Missing tallies are 0."""

    def read_register(self, key: str) -> Register:
        """A register's entries, version and epoch, read at one moment."""

    def read_version(self, key: str) -> tuple[str, int]:
        """A register's epoch and version alone."""

    def change_register(self, key: str, change: Change) -> Register | None:
        """Apply a change; atomic. None if what it expects does not hold (nothing changed then).

        Returns:
            The register's new epoch and version, without entries.
        """

    def append(self, log: str, record: Mapping[str, str], *, keep: int = 10_000) -> None:
        """Append a record to a log that keeps about `keep` of them."""

    def records(
        self, log: str, *, count: int, before: str | None = None
    ) -> list[tuple[str, dict[str, str]]]:
        """The newest records first, as (id, fields); `before` an id goes further back."""

    def advance(self, key: str, number: int, *, ttl_seconds: float) -> int:
        """Raise a high-water mark to `number` if that is higher; atomic. Returns the mark."""

    def advance_all(self, marks: Mapping[str, int], *, ttl_seconds: float) -> None:
        """`advance` many marks (key -> number) in one round trip; each by itself is atomic."""

    def put_many(self, values: Mapping[str, bytes | None], *, ttl_seconds: float) -> None:
        """Write many values (None: delete), each by itself, in one round trip."""

    def append_lines(self, lines: Sequence[LogLine], *, keep: int, ttl_seconds: float) -> None:
        """Append lines, in order, in one round trip.

        Each log keeps at least its last `keep` lines, and is deleted when it got no line for a
        time: at least `ttl_seconds`, at most twice that.
        """

    def lines_since(self, logs: Sequence[str], since: float) -> dict[str, list[Line]]:
        """The lines of each log from a moment on: (when, fields), in order, in one round trip.

        Both moments are seconds since the epoch by the store's clock.
        """

    def publish(self, channel: str, message: str) -> None:
        """Send a hint; it may be lost."""

    def listen(self, channels: Sequence[str], on_message: Message) -> Subscription:
        """Call `on_message(channel)` for each hint, from a background thread, until closed.

        A broken connection is made again with pauses; `on_message` is called after each
        reconnect too, since hints were lost meanwhile.
        """

    def close(self) -> None:
        """Close all connections; idempotent."""
