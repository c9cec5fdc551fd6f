"""Drains this process with one task, which runs from an order until no session is left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from mina_ops.app.context import Context
from mina_ops.app.drain.closer import Closer
from mina_ops.app.drain.holds import Holds
from mina_ops.app.drain.model import plan
from mina_ops.app.drain.status import MOST_NAMES
from mina_ops.app.sessions.component import Connections
from mina_ops.app.sessions.sessions import Sessions
from mina_ops.app.state.drain_state import LEAVING, DrainState, State
from mina_ops.app.web.in_flight import InFlight

_log = logging.getLogger(__name__)

TICK_SECONDS = 0.05
# A request that came after the order is waited for once it has run this long: it is a long one.
_SHORT_SECONDS = 1.0
# Clients that get `server:draining` spread their reconnects over this time.
JITTER_MS = 1000


@dataclass(frozen=True)
class Goal:
    """By when the process shall be drained.

    Attributes:
        order_id: the order's id, or `LEAVING` where the process drains because it ends.
        deadline: on the monotonic clock.
        deadline_unix: the same moment in seconds since the epoch, for clients.
    """

    order_id: str
    deadline: float
    deadline_unix: float


class Coordinator:
    """Drains this process towards a goal, and reports how far it is.

    After each change of its state it wakes the heartbeat, which tells the peers.
    """

    def __init__(
        self,
        context: Context,
        connections: Connections,
        holds: Holds,
        drain_state: DrainState,
        requests: InFlight,
    ) -> None:
        self.goal: Goal | None = None
        self._initial = 0
        self._unflushed: list[str] = []
        self._context = context
        self._settings = context.settings
        self._connections = connections
        self._holds = holds
        self._drain_state = drain_state
        self._requests = requests
        self._began = 0.0
        self._closer: Closer | None = None
        self._abandoned = 0
        self._lock = Lock()
        self._running = False

    def report(self) -> dict[str, Any]:
        """How far this process is, as `GET /admin/drain` shows it."""
        sessions, goal = self._connections.sessions, self.goal
        # Sessions that were cut, or closed while work of theirs went on.
        forced = {} if self._closer is None else self._closer.forced
        shown = [f"{sid} ({why})" for sid, why in list(forced.items())[:MOST_NAMES]]
        return {
            "state": str(self._drain_state.process),
            "order_id": None if goal is None else goal.order_id,
            "initial": 0 if goal is None else self._initial,
            "forced": len(forced),
            "forced_sessions": shown,
            "unflushed": self._unflushed[:MOST_NAMES],
            "remaining": 0 if sessions is None else sessions.total(),
            "in_flight": 0 if sessions is None else max(0, sessions.in_flight() - self._abandoned),
            "requests": len(self._requests),
            "holds": self._holds.names()[:MOST_NAMES],
        }

    def pursue(self, goal: Goal | None) -> None:
        """Drain towards a goal, or (None) serve again; idempotent, returns at once."""
        with self._lock:
            before = self.goal, self._drain_state.process
            if goal is None:
                self.goal, self._drain_state.process = None, State.SERVING
                if self._closer is not None:
                    self._closer.stop_announcing()
            else:
                if self.goal is None or goal.order_id != self.goal.order_id:
                    self._begin()
                self.goal = goal
                if self._drain_state.process is not State.DRAINED or self._is_left_over():
                    self._drain_state.process = State.DRAINING
                    if not self._running:
                        self._running = True
                        Thread(target=self._run, name="mina_ops-drain", daemon=True).start()
            is_news = before != (self.goal, self._drain_state.process)
        if is_news:
            self._context.heartbeat.poke()

    def _begin(self) -> None:
        sessions = self._connections.sessions
        self._unflushed = []
        self._abandoned = 0
        self._began = time.perf_counter()
        if self._closer is None or not self._closer.busy:
            self._closer = None if sessions is None else self._new_closer(sessions)
        else:
            self._closer.forced.clear()
        self._drain_state.process = State.DRAINING
        # Not in the task: where no session is live, the task ends before its first tick.
        if self._connections.raw_pings is not None:
            self._connections.raw_pings.close_all()
        self._initial = 0 if sessions is None else len(sessions.live())

    def _new_closer(self, sessions: Sessions) -> Closer:
        return Closer(
            sessions,
            self._holds,
            ack_seconds=self._settings.drain_ack_seconds,
            cut_seconds=self._settings.drain_cut_seconds,
        )

    def _run(self) -> None:
        try:
            pursued: Goal | None = None
            while not self._finished():
                goal = self.goal
                if goal is not None and goal != pursued:
                    self._set_out(goal, first=pursued is None)
                pursued = goal
                self._tick(goal)
                time.sleep(TICK_SECONDS)
        except Exception:
            _log.exception("The drain of this process failed; the next beat tries again")
            with self._lock:
                self._running = False
        finally:
            self._context.heartbeat.poke()

    def _finished(self) -> bool:
        """Whether the task may end, as nothing is left to do; then notes that it does.

        Decided under the lock, so that `pursue` starts a new task or this one sees the new goal.
        """
        with self._lock:
            closer = self._closer
            if self.goal is None:
                self._running = closer is not None and closer.busy
            elif not self._is_left_over():
                self._drain_state.process = State.DRAINED
                self._running = False
            return not self._running

    def _is_left_over(self) -> bool:
        sessions, closer = self._connections.sessions, self._closer
        if closer is not None and closer.busy:
            return True
        if sessions is not None and (sessions.any_live() or sessions.in_flight() > self._abandoned):
            return True
        return bool(self._holds.active()) or self._requests_last()

    def _requests_last(self) -> bool:
        """Whether requests of the host are still waited for, until the deadline.

        Those are requests that began before the order, or that have run for over a second. In a
        process that is about to end, the server itself waits for its requests.
        """
        goal = self.goal
        if goal is None or goal.order_id == LEAVING or time.monotonic() >= goal.deadline:
            return False
        moment = max(self._began, time.perf_counter() - _SHORT_SECONDS)
        return self._requests.begun_before(moment) > 0

    def _set_out(self, goal: Goal, *, first: bool) -> None:
        if self._closer is None:
            return
        now = time.monotonic()
        tail = self._settings.drain_ack_seconds + 0.5
        self._closer.follow(plan(now, max(0.0, goal.deadline - now), tail))
        if first:
            self._closer.announce({**self._payload(goal), "jitter_ms": JITTER_MS})

    def _payload(self, goal: Goal) -> dict[str, Any]:
        return {
            "environment": self._context.identity.environment,
            "deadline": round(goal.deadline_unix * 1000),
        }

    def _tick(self, goal: Goal | None) -> None:
        now = time.monotonic()
        if goal is not None and now >= goal.deadline:
            self._holds.flush_all(self._spawn)
            self._unflushed += self._holds.give_up(self._settings.drain_cut_seconds)
            self._abandon(now - goal.deadline)
        if self._closer is not None:
            deadline = now if goal is None else goal.deadline
            payload = {} if goal is None else self._payload(goal)
            self._closer.tick(deadline, payload, release=goal is not None)

    def _abandon(self, late_seconds: float) -> None:
        """Stop waiting for handlers that run on although their sessions were closed long ago."""
        sessions = self._connections.sessions
        patience = self._settings.drain_ack_seconds + 2 * self._settings.drain_cut_seconds
        if sessions is not None and late_seconds > patience and not sessions.any_live():
            self._abandoned = sessions.in_flight()

    def _spawn(self, work: Callable[[], None]) -> None:
        def run() -> None:
            with self._context.app.app_context():
                work()

        Thread(target=run, name="mina_ops-flush", daemon=True).start()
