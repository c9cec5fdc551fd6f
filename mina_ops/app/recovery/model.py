"""Which events a client has had, told from the mark that its last event bore.

Every event of a recoverable namespace is numbered by the process that emitted it: `k3f9.12` is the
twelfth of process `k3f9`. A process that serves clients hears the events of each emitter in order,
so what it has sent so far is one number for each emitter. Each event that it sends says that too:

    ~mo1~k3f9.12@k3f9.12,q2zz.7@1f3a@1764460000.123
         the event  what was sent so far  life of the store  when

Such a mark outlives the process that made it: whoever reads the log of the events later knows
which of them come after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PREFIX = "~mo1~"
# An emitter that was silent for so long before a mark is not named in it.
HEARD_SECONDS = 10.0
# Of an emitter that no manager of ours numbers, by the hash of what it said: no order is known.
FOREIGN = "x"

_MARK = re.compile(r"~mo1~([^@]*)@([^@]*)@([^@]*)@([0-9.]+)")


@dataclass(frozen=True)
class EventId:
    """Number `number` of an emitter."""

    emitter: str
    number: int

    def __str__(self) -> str:
        return f"{self.emitter}.{self.number}"


@dataclass(frozen=True)
class Entry:
    """An event as it lies in the log.

    Attributes:
        event: its number.
        at: seconds since the epoch, by the clock that all share.
        room: to whom it was sent; "" is everybody in the namespace.
        skip: sids that it was not sent to.
        packet: what goes over the wire, its binary attachments after it.
    """

    event: EventId
    at: float
    room: str
    skip: tuple[str, ...]
    packet: tuple[str | bytes, ...]


@dataclass
class Heard:
    """How far a process is with one emitter: all up to `last`, and `beyond` it a few more."""

    last: int = 0
    beyond: set[int] = field(default_factory=set)
    at: float = 0.0

    def note(self, number: int, at: float) -> None:
        """Event `number` was sent on."""
        self.at = at
        if self.last == 0:
            # What came before this process listened does not come any more.
            self.last = number
        elif number > self.last:
            self.beyond.add(number)
            while self.last + 1 in self.beyond:
                self.last += 1
                self.beyond.discard(self.last)
            if len(self.beyond) > 64:
                # One that the queue lost: it does not come any more either.
                self.last = min(self.beyond)

    def has(self, number: int) -> bool:
        """Whether an event was sent on."""
        return number <= self.last or number in self.beyond


@dataclass(frozen=True)
class Mark:
    """What a client has had when its last event was sent."""

    event: str
    heard: Mapping[str, Heard]
    epoch: str
    at: float

    def has(self, entry: Entry) -> bool:
        """Whether the client has had an event."""
        event = entry.event
        if str(event) == self.event:
            return True
        known = self.heard.get(event.emitter)
        if known is not None:
            return known.has(event.number)
        if event.emitter.startswith(FOREIGN):
            return entry.at <= self.at
        return bool(self.heard) and entry.at < self.at - HEARD_SECONDS


def mark_text(event: EventId, heard: Mapping[str, Heard], epoch: str, at: float) -> str:
    """The mark that an event bears."""
    told = ",".join(
        "+".join([f"{name}.{one.last}", *map(str, sorted(one.beyond))])
        for name, one in heard.items()
        if one.at >= at - HEARD_SECONDS
    )
    return f"{PREFIX}{event}@{told}@{epoch}@{at:.3f}"


def mark_from(text: object) -> Mark | None:
    """The mark in what a client sent; None if it is none."""
    found = _MARK.fullmatch(text) if isinstance(text, str) and len(text) < 4096 else None
    if found is None:
        return None
    heard: dict[str, Heard] = {}
    try:
        for told in filter(None, found[2].split(",")):
            name, _, numbers = told.partition(".")
            last, *beyond = (int(number) for number in numbers.split("+"))
            heard[name] = Heard(last, set(beyond))
        return Mark(found[1], heard, found[3], float(found[4]))
    except ValueError:
        return None


def missed(
    mark: Mark, sid: str, logged: Iterable[Entry], recent: Iterable[Entry]
) -> dict[str, Entry]:
    """Events that a client has not had, in the order in which it shall get them.

    Args:
        mark: what it has had.
        sid: its Socket.IO sid.
        logged: from the shared log, by time; of one emitter in order.
        recent: what this process heard of last, which may not be in the log yet.
    """
    found: dict[str, Entry] = {}
    for entry in (*logged, *recent):
        if sid not in entry.skip and not mark.has(entry):
            found.setdefault(str(entry.event), entry)
    return found
