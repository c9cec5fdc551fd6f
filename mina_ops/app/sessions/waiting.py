"""Limits the number and the time of sessions that have joined no namespace yet.

A handshake over polling costs its client one request, and the server a session that Engine.IO keeps
for 45 s: a curl loop would fill a worker. Socket.IO on Node ends such a session after a while
(`connectTimeout`); python-socketio does not, so this does. Every stock client joins with its next
request after the handshake.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Generic, Protocol, TypeVar

CONNECT_SECONDS = 10.0
"""How long a session may take to join its first namespace."""
MOST_WAITING = 2_000
_SHARE_ENDED = 10
"""Of `MOST_WAITING`, a tenth is ended at once when there are too many."""


class Newcomer(Protocol):
    """The attributes of a session that are needed here."""

    sid: str
    since: float
    client: str


_T = TypeVar("_T", bound=Newcomer)


class Waiting(Generic[_T]):
    """Sessions that have joined no namespace, the oldest first. Takes no lock."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._all: dict[str, _T] = {}

    def __len__(self) -> int:
        return len(self._all)

    def all(self) -> list[_T]:
        """All of them."""
        return list(self._all.values())

    def add(self, session: _T) -> list[_T]:
        """Add a session. Returns those to end, if there are too many now.

        They are the oldest of the client address that has most.
        """
        self._all[session.sid] = session
        if len(self._all) <= self._most:
            return []
        present = self.all()
        [(client, _)] = Counter(one.client for one in present).most_common(1)
        # Several at once, so that a flood does not cost a count of all sessions each time.
        return [one for one in present if one.client == client][: self._most // _SHARE_ENDED]

    def remove(self, sid: str) -> None:
        """Take out a session that joined or ended; idempotent."""
        self._all.pop(sid, None)

    def late(self) -> list[_T]:
        """Sessions that have waited longer than `CONNECT_SECONDS`."""
        limit = time.monotonic() - CONNECT_SECONDS
        return [one for one in self.all() if one.since < limit]
