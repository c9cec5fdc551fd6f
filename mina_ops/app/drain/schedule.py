"""Chooses which sessions leave next: evenly until the plan's end, the longest idle ones first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from mina_ops.app.drain.model import Plan
from mina_ops.app.sessions.session import Session

# After a delay, no more than this much time is made up for at once; the rest of the delay is spread
# over the rest of the plan.
CATCH_UP_SECONDS = 0.1


class Schedule:
    """Lets the sessions of one process leave by a plan; the first one may leave at once.

    Args:
        plan: how many leave by when.
        staying: returns the live sessions that were not asked to leave; called rarely.
        is_live: says whether a session has not ended by itself meanwhile.
        held: returns the sids of sessions that must not leave yet.
    """

    def __init__(
        self,
        plan: Plan,
        staying: Callable[[], list[Session]],
        is_live: Callable[[Session], bool],
        held: Callable[[], set[str]],
    ) -> None:
        self._plan = plan
        self._staying = staying
        self._is_live = is_live
        self._held = held
        self._idle_first = _IdleFirst(staying())
        self._set_aside: list[Session] = []
        self._credit = 1.0
        """How many may leave now; it grows with time, and each that leaves takes 1."""
        self._credited_at = plan.start

    def due(self, now: float) -> Iterator[Session]:
        """The sessions to ask now; each is returned once."""
        held = self._held()
        self._take_back(held)
        since = max(self._credited_at, now - CATCH_UP_SECONDS)
        self._credit += self._plan.due(len(self._idle_first), since, now)
        self._credited_at = now
        while self._credit >= 1 and (session := self._idle_first.take()) is not None:
            if session.sid in held:
                self._set_aside.append(session)
            elif self._is_live(session):
                self._credit -= 1
                yield session

    def _take_back(self, held: set[str]) -> None:
        """Add sessions whose hold ended; when none are left, those that came since the start."""
        for session in self._set_aside:
            if session.sid not in held:
                self._idle_first.add(session)
        self._set_aside = [s for s in self._set_aside if s.sid in held]
        if not len(self._idle_first):
            self._idle_first = _IdleFirst(s for s in self._staying() if s.sid not in held)


class _IdleFirst:
    """A heap of sessions by last activity.

    A session that became active since it was added is put back at its new place when it is met.
    """

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._heap = [(_rank(session), session.sid, session) for session in sessions]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, session: Session) -> None:
        heapq.heappush(self._heap, (_rank(session), session.sid, session))

    def take(self) -> Session | None:
        while self._heap:
            known_as, sid, session = self._heap[0]
            rank = _rank(session)
            if rank <= known_as:
                heapq.heappop(self._heap)
                return session
            heapq.heapreplace(self._heap, (rank, sid, session))
        return None


def _rank(session: Session) -> tuple[bool, float]:
    return session.in_flight > 0, session.active_at
