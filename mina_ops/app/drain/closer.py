"""Closes the sessions of a process, each in four steps, and never waits for a single one.

    ask     session:handoff is sent in each namespace; the client stops sending and acknowledges
            in one of them. A client that says it is connecting elsewhere (session:moving) gets
            more time
    settle  handlers that ran at that moment end, holds end, an event that had begun to arrive
            arrives whole, the outbound queue is empty for 50 ms
    close   the transport ends as if the network broke, so clients reconnect by themselves
    end     the websocket's request ends; the connection of a stalled peer is cut

One task calls `tick` and takes all steps of all sessions, so nothing here needs a lock.
"""

from __future__ import annotations

import logging
import time
from threading import Event
from typing import Any

from mina_ops.app.drain.departure import Departure
from mina_ops.app.drain.holds import Holds
from mina_ops.app.drain.model import Plan
from mina_ops.app.drain.schedule import Schedule
from mina_ops.app.drain.slowness import Slowness
from mina_ops.app.drain.telling import Telling
from mina_ops.app.drain.yielding import Yielder
from mina_ops.app.sessions.links import cut, stop_reading
from mina_ops.app.sessions.session import Session
from mina_ops.app.sessions.sessions import Sessions

_log = logging.getLogger(__name__)

# When the queue is empty, its last packet may still be on the way to the socket. Measured: with
# 50 ms no packet is lost (docs/drain.md).
SETTLE_SECONDS = 0.05
# How long a client that said session:moving may take until it acknowledges.
MOVE_SECONDS = 5.0
# How long after the deadline the body of a chunk may still run.
LATE_SECONDS = 30.0


class Closer:
    """Closes the sessions of one process.

    Args:
        ack_seconds: how long a client may take to acknowledge `session:handoff`.
        cut_seconds: how long to wait for a peer that reads nothing, before it is cut.
    """

    def __init__(
        self, sessions: Sessions, holds: Holds, *, ack_seconds: float, cut_seconds: float
    ) -> None:
        self.forced: dict[str, str] = {}
        """Sid -> why, for sessions that were closed before their work was done, or cut."""
        self._sessions = sessions
        self._server = sessions.server
        self._holds = holds
        self._ack_seconds = ack_seconds
        self._cut_seconds = cut_seconds
        self._leaving: dict[str, Departure] = {}
        self._schedule: Schedule | None = None
        self._slowness = Slowness()
        self._telling = Telling(sessions)

    @property
    def busy(self) -> bool:
        """Whether a session has been asked to leave and is not gone yet."""
        return bool(self._leaving)

    def follow(self, plan: Plan) -> None:
        """Ask sessions to leave by a new plan from now on."""
        self._schedule = Schedule(plan, self._staying, self._is_live, self._holds.sids)

    def announce(self, payload: dict[str, Any]) -> None:
        """Send `server:draining` to each session of this process, in a task of its own."""
        self._telling.announce(payload)

    def stop_announcing(self) -> None:
        """Send `server:draining` to nobody else: the drain was cancelled."""
        self._telling.stop()

    def tick(self, deadline: float, payload: dict[str, Any], *, release: bool = True) -> None:
        """Take every step that is due; call it every 50 ms or so.

        Args:
            deadline: when unfinished work is no longer waited for, on the monotonic clock.
            payload: that of `session:handoff`.
            release: whether more sessions are asked to leave; False only finishes those that were.
        """
        self._slowness.tick()
        if release:
            self._release(deadline, payload)
        yielder = Yielder(self._server)
        before = list(self._leaving.values())
        for departure in before:
            yielder.yield_if_due()
            try:
                self._advance(departure, deadline)
            except Exception:
                _log.exception("Session %s could not be closed in order", departure.session.sid)
                self._give_up(departure)
        self._holds.streams.let_go(d.session for d in before if d.session.leaving)

    def _cut_after(self) -> float:
        """Seconds to wait for a stalled peer, as things are now."""
        return self._cut_seconds + self._slowness.extra_seconds

    def _release(self, deadline: float, payload: dict[str, Any]) -> None:
        now = time.monotonic()
        yielder = Yielder(self._server)
        scheduled = [] if self._schedule is None else list(self._schedule.due(now))
        due = self._staying() if now >= deadline else scheduled
        # Before the client can be on the other colour: that one must find the stream kept by us.
        self._holds.streams.keep(due)
        for session in due:
            self._telling.tell(session)
            self._ask(session, payload)
            yielder.yield_if_due()

    def _staying(self) -> list[Session]:
        """Live sessions that have not been asked to leave."""
        return [s for s in self._sessions.live() if s.sid not in self._leaving]

    def _is_live(self, session: Session) -> bool:
        return self._sessions.socket(session.sid) is not None

    def _ask(self, session: Session, payload: dict[str, Any]) -> None:
        departure = Departure(session, time.monotonic(), set(session.running))

        def acknowledged(*_answer: Any) -> None:
            departure.is_answered = True
            self._begin_nothing_more(departure)
            # At once: the client's next chunk may have reached the other colour already.
            self._holds.streams.let_go([session])

        session.moving_at = None
        self._leaving[session.sid] = departure
        addresses = self._sessions.addresses(session.sid)
        if not addresses:
            departure.is_answered = True
        for namespace, own in addresses:
            pid = session.pids.get(namespace)
            told = payload if pid is None else {**payload, "pid": pid}
            self._telling.emit("session:handoff", told, own, namespace, acknowledged)

    def _advance(self, departure: Departure, deadline: float) -> None:
        now = time.monotonic()
        if departure.closed_at is not None:
            self._end(departure, now)
        elif departure.closing is not None:
            if departure.closing.is_set():
                departure.closed_at = now
            elif now >= max(deadline, departure.closing_since) + self._cut_after():
                self._give_up(departure)
        elif self._sessions.socket(departure.session.sid) is None:
            departure.closed_at = now
        elif departure.has_had_its_time or self._has_had_its_time(departure, now):
            self._settle(departure, now, deadline)

    def _has_had_its_time(self, departure: Departure, now: float) -> bool:
        """Whether the client answered or took too long; from then on no chunk is begun here."""
        session = departure.session
        patience = self._ack_seconds
        if session.moving_at is not None:
            patience = max(patience, MOVE_SECONDS)
        if not departure.is_answered and now < departure.asked_at + patience:
            return False
        self._begin_nothing_more(departure)
        return True

    def _begin_nothing_more(self, departure: Departure) -> None:
        if departure.is_answered:
            # Also wait for what the client sent before it answered.
            departure.waited_for |= departure.session.running
        # Half an event here is none: its client would have to send it again, if it can.
        departure.arriving = self._sessions.incoming.of(departure.session.sid)
        departure.has_had_its_time = True
        departure.session.leave()

    def _settle(self, departure: Departure, now: float, deadline: float) -> None:
        session = departure.session
        # Handlers that began later are not waited for: a client that never stops sending would
        # keep its session open for ever.
        arrives = departure.still_arrives(self._sessions.incoming.of(session.sid))
        running = departure.waited_for & session.running
        if arrives or running or session.receiving > 0 or session.sid in self._holds.sids():
            departure.quiet_since = departure.settling_since = None
            if now >= self._patience_ends(departure, deadline):
                self._force(session.sid, "an event is arriving" if arrives else "work goes on")
                self._close(departure)
            return
        departure.settling_since = departure.settling_since or now
        if self._is_quiet(session):
            departure.quiet_since = departure.quiet_since or now
            if now - departure.quiet_since >= SETTLE_SECONDS:
                self._close(departure)
            return
        departure.quiet_since = None
        if now - departure.settling_since >= self._cut_after():
            if not self._queue_is_empty(session.sid):
                self._force(session.sid, "takes nothing")
            self._close(departure)

    def _patience_ends(self, departure: Departure, deadline: float) -> float:
        """When work of a session is no longer waited for, on the monotonic clock.

        The body of a chunk may run beyond the deadline: no other chunk follows it here, and if it
        were cut off, the other colour might handle the chunk again. The drain is then late, and its
        status says so, but nothing is lost.
        """
        session = departure.session
        asked = departure.asked_at + self._ack_seconds
        if session.receiving > 0:
            return max(deadline, asked) + LATE_SECONDS
        if session.sid in self._holds.sids():
            return deadline + self._cut_seconds
        return max(deadline, asked) + self._slowness.extra_seconds

    def _is_quiet(self, session: Session) -> bool:
        """Whether nothing waits to be sent, and a polling client has a poll open to be answered."""
        socket = self._sessions.socket(session.sid)
        if socket is None:
            return True
        return socket.queue.empty() and (socket.upgraded or session.polls > 0)

    def _queue_is_empty(self, sid: str) -> bool:
        socket = self._sessions.socket(sid)
        return socket is None or bool(socket.queue.empty())

    def _close(self, departure: Departure) -> None:
        """Close in a task of its own, since the host's disconnect handlers run inside."""
        socket, link = self._sessions.socket(departure.session.sid), departure.session.link
        departure.has_taken_all = self._queue_is_empty(departure.session.sid)
        departure.closing = closed = Event()
        departure.closing_since = time.monotonic()
        if socket is None:
            closed.set()
            return
        self._sessions.sent_away.append(departure.session)

        def close() -> None:
            try:
                # wait=False: the queue of a client that is gone is never emptied, so waiting for
                # that would never end. abort=True sends no CLOSE packet: python-socketio's clients
                # would take it for the end and never reconnect. What is in the queue is sent all
                # the same.
                socket.close(wait=False, abort=True)
                if self._server.eio.async_mode == "eventlet":
                    # The writer closes the socket in which the reader waits in recv; under eventlet
                    # the reader would never wake. So wake it first, while the socket is open.
                    stop_reading(link)
            finally:
                closed.set()

        self._server.start_background_task(close)

    def _end(self, departure: Departure, now: float) -> None:
        link = departure.session.link
        if link is None:
            self._leaving.pop(departure.session.sid, None)
            return
        if departure.closed_at is not None and now - departure.closed_at >= self._cut_after():
            # A peer that reads nothing has not seen the close yet. The kernel holds what was sent
            # and still delivers it; what was in our queue is lost, and reported.
            if not departure.has_taken_all:
                self._force(departure.session.sid, "does not close")
            cut(link)
            self._leaving.pop(departure.session.sid, None)

    def _give_up(self, departure: Departure) -> None:
        """Count a session as gone although its disconnect handler has not ended."""
        sid = departure.session.sid
        self._force(sid, "its disconnect handler hangs")
        socket = self._sessions.socket(sid)
        if socket is not None:
            socket.closed = True
            socket.queue.put(None)
        if departure.session.link is not None:
            cut(departure.session.link)
        self._leaving.pop(sid, None)

    def _force(self, sid: str, why: str) -> None:
        self.forced.setdefault(sid, why)
