"""Whose turn it is to be let go: evenly until the plan's end, those that are idle longest first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from mina_ops.app.drain.model import Plan
from mina_ops.app.sessions.sessions import Session

# A turn that comes later than this makes up for no more: a pause is spread over what is left.
TURN_SECONDS = 0.1


class Turns:
    """Deals out the sessions of one process by a plan.

    Args:
        staying: live sessions that were not asked to leave; read rarely, however many there are.
        is_live: whether a session has not ended by itself meanwhile.
        held: sessions that must not leave yet.
    """

    def __init__(
        self,
        staying: Callable[[], list[Session]],
        is_live: Callable[[Session], bool],
        held: Callable[[], set[str]],
    ) -> None:
        self._staying = staying
        self._is_live = is_live
        self._held = held
        self._plan: Plan | None = None
        self._idle_first = _IdleFirst(())
        self._set_aside: list[Session] = []
        self._credit = 0.0
        self._dealt_at = 0.0

    def follow(self, plan: Plan) -> None:
        """Deal by a new plan from now on; the first session's turn comes at once."""
        self._plan = plan
        self._idle_first = _IdleFirst(self._staying())
        self._set_aside = []
        self._credit, self._dealt_at = 1.0, plan.start

    def due(self, now: float) -> Iterator[Session]:
        """Those whose turn has come."""
        if self._plan is None:
            return
        held = self._held()
        self._take_back(held)
        since = max(self._dealt_at, now - TURN_SECONDS)
        self._credit += self._plan.due(len(self._idle_first), since, now)
        self._dealt_at = now
        while self._credit >= 1 and (session := self._idle_first.take()) is not None:
            if session.sid in held:
                self._set_aside.append(session)
            elif self._is_live(session):
                self._credit -= 1
                yield session

    def _take_back(self, held: set[str]) -> None:
        """Those whose hold ended, and whoever came after the plan was made."""
        for session in self._set_aside:
            if session.sid not in held:
                self._idle_first.add(session)
        self._set_aside = [s for s in self._set_aside if s.sid in held]
        if not len(self._idle_first):
            self._idle_first = _IdleFirst(s for s in self._staying() if s.sid not in held)


class _IdleFirst:
    """A heap by last activity; one that was active while it waited goes back when it is met."""

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
