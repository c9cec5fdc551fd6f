"""Those that shook hands and have joined no namespace yet: not for long, and not too many.

A handshake over polling costs its client one request and the server a session that Engine.IO keeps
for 45 s, so 55 lines of curl would fill a worker. Socket.IO on Node ends such a session
after a while (`connectTimeout`); python-socketio does not, so we do. Every stock client
joins with its next request.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Generic, Protocol, TypeVar

CONNECT_SECONDS = 10.0
MOST_WAITING = 2_000
_SHARE_ENDED = 10


class Newcomer(Protocol):
    """What is asked of a session."""

    sid: str
    since: float
    client: str


_T = TypeVar("_T", bound=Newcomer)


class Waiting(Generic[_T]):
    """Sessions without a namespace, in the order in which they came. It takes no lock."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._all: dict[str, _T] = {}

    def __len__(self) -> int:
        return len(self._all)

    def all(self) -> list[_T]:
        """All of them."""
        return list(self._all.values())

    def add(self, session: _T) -> list[_T]:
        """One more; those that have to go for it: the oldest of the client with the most."""
        self._all[session.sid] = session
        if len(self._all) <= self._most:
            return []
        present = self.all()
        [(client, _)] = Counter(one.client for one in present).most_common(1)
        # Several at once, so that a flood does not cost a look at all of them each time.
        return [one for one in present if one.client == client][: self._most // _SHARE_ENDED]

    def remove(self, sid: str) -> None:
        """It joined, or is gone; idempotent."""
        self._all.pop(sid, None)

    def late(self) -> list[_T]:
        """Those whose time is over."""
        limit = time.monotonic() - CONNECT_SECONDS
        return [one for one in self.all() if one.since < limit]
