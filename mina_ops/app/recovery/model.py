"""Finds out which events a client has missed, from the mark on the last event that it got. Pure.

Every event of a recoverable namespace is numbered by the process that emitted it: `k3f9.12` is the
twelfth of process `k3f9`. A process that serves clients receives the events of each emitter in
order, so one number for each emitter says what it has sent so far. It adds these numbers, as a
mark, to each event that it sends:

    ~mo1~k3f9.12@k3f9.12,q2zz.7@1f3a@1764460000.123
         event   sent so far    epoch seconds since 1970

The mark says all that is needed, also after the process that wrote it has ended: events in the
shared log that are beyond these numbers were missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PREFIX = "~mo1~"
# A mark leaves out emitters that sent nothing in the last 10 s before it.
HEARD_SECONDS = 10.0
# Begins the name of an emitter that does not number its events, such as a script that writes to the
# message queue. Its name is a hash of the message, so the order of its events is not known.
FOREIGN = "x"

_MARK = re.compile(r"~mo1~([^@]*)@([^@]*)@([^@]*)@([0-9.]+)")


@dataclass(frozen=True)
class EventId:
    """An event's id: the emitter, and the event's number there."""

    emitter: str
    number: int

    def __str__(self) -> str:
        return f"{self.emitter}.{self.number}"


@dataclass(frozen=True)
class Entry:
    """An event as the log keeps it.

    Attributes:
        event: its id.
        at: when it was emitted, seconds since the epoch by the store's clock.
        room: the room that it was sent to; "" is everybody in the namespace.
        skip: sids that it was not sent to.
        packet: the encoded Socket.IO packet, then its binary attachments.
    """

    event: EventId
    at: float
    room: str
    skip: tuple[str, ...]
    packet: tuple[str | bytes, ...]


@dataclass
class Heard:
    """Events of one emitter that a process has sent: all up to `last`, and those in `beyond`.

    `at` is when it sent the last one, seconds since the epoch.
    """

    last: int = 0
    beyond: set[int] = field(default_factory=set)
    at: float = 0.0

    def note(self, number: int, at: float) -> None:
        """Note that event `number` was sent to clients."""
        self.at = at
        if self.last == 0:
            # Events from before this process listened will not come any more.
            self.last = number
        elif number > self.last:
            self.beyond.add(number)
            while self.last + 1 in self.beyond:
                self.last += 1
                self.beyond.discard(self.last)
            if len(self.beyond) > 64:
                # The message queue lost one: it will not come any more either.
                self.last = min(self.beyond)

    def has(self, number: int) -> bool:
        """Whether event `number` was sent to clients."""
        return number <= self.last or number in self.beyond


@dataclass(frozen=True)
class Mark:
    """What had been sent when a client got its last event.

    Attributes:
        event: id of that event; "" if it got none.
        heard: emitter -> its events that had been sent.
        epoch: that of the log then, see `Log.epoch`.
        at: seconds since the epoch by the store's clock.
    """

    event: str
    heard: Mapping[str, Heard]
    epoch: str
    at: float

    def has(self, entry: Entry) -> bool:
        """Whether the client got an event."""
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
    """The mark of an event as text, see the top of this file."""
    told = ",".join(
        "+".join([f"{name}.{one.last}", *map(str, sorted(one.beyond))])
        for name, one in heard.items()
        if one.at >= at - HEARD_SECONDS
    )
    return f"{PREFIX}{event}@{told}@{epoch}@{at:.3f}"


def mark_from(text: object) -> Mark | None:
    """The mark that a client sent back; None if that is no mark."""
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
    """Events that a client missed, by id, in the order in which it shall get them.

    Args:
        mark: what it got.
        sid: its Socket.IO sid.
        logged: from the shared log, by time; those of one emitter in order.
        recent: the last events that this process sent; they may not be in the log yet.
    """
    found: dict[str, Entry] = {}
    for entry in (*logged, *recent):
        if sid not in entry.skip and not mark.has(entry):
            found.setdefault(str(entry.event), entry)
    return found
