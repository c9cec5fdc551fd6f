"""The live sessions of one Socket.IO server, and the handlers that run for them.

Engine.IO keeps closed sockets in its table until its next sweep. So a session counts as live from
its handshake until its socket is closed, not for as long as the table holds it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from flask import has_request_context, request

from mina_ops.app.sessions.incoming import Incoming
from mina_ops.app.sessions.links import cut
from mina_ops.app.sessions.model import Count
from mina_ops.app.sessions.session import Session
from mina_ops.app.sessions.waiting import Waiting
from mina_ops.app.sessions.whole_events import send_events_whole
from mina_ops.app.socketio_adapter import Call, wrap_arrival, wrap_connect, wrap_handling
from mina_ops.app.web.client import agent_of, client_of

MOVING = "session:moving"
"""Event by which a client says that it is connecting elsewhere; a drain then waits longer."""
MOST_REMEMBERED = 20_000
"""Entries of `newcomers` and of `sent_away`; beyond, the oldest are dropped."""

CountHandshake = Callable[[str, str], None]


class Sessions:
    """Watches a `socketio.Server` by wrapping what it calls on each connect and event.

    Args:
        server: the `socketio.Server`.
        count_handshake: called with `accepted`, or why a client did not get in after its
            handshake, and the client's address.
    """

    def __init__(self, server: Any, count_handshake: CountHandshake) -> None:
        self.server = server
        self.count_handshake = count_handshake
        self.newcomers: deque[Session] = deque(maxlen=MOST_REMEMBERED)
        """Sessions that joined their first namespace; `drain/arrivals.py` takes them out."""
        self.sent_away: deque[Session] = deque(maxlen=MOST_REMEMBERED)
        """Sessions that a drain closed; `drain/arrivals.py` takes them out."""
        self.incoming = Incoming(server)
        self._known: dict[str, Session] = {}
        self._waiting: Waiting[Session] = Waiting()
        self._wrap_handshakes(server.eio)
        wrap_arrival(server, self._with_arrival)
        wrap_handling(server, self._with_end)
        wrap_connect(server, self._with_joining)
        send_events_whole(server)

    def live(self) -> list[Session]:
        """Sessions whose socket is open, the oldest first."""
        known = self._known
        return [known.get(s.sid) or self._add(s.sid) for s in self._open_sockets()]

    def any_live(self) -> bool:
        """Whether any session is live; stops at the first one."""
        return any(s.connected and not s.closed for s in list(self.server.eio.sockets.values()))

    def total(self) -> int:
        """How many sessions are live; cheaper than `count`."""
        return len(self._open_sockets())

    def count(self) -> Count:
        """How many sessions are live: in all, by transport, by namespace."""
        sockets = self._open_sockets()
        websockets = sum([bool(socket.upgraded) for socket in sockets])
        transports = {"websocket": websockets, "polling": len(sockets) - websockets}
        rooms = self.server.manager.rooms
        namespaces = {name: len(rooms[name].get(None, ())) for name in list(rooms)}
        present = {name: clients for name, clients in namespaces.items() if clients}
        return Count(len(sockets), {name: n for name, n in transports.items() if n}, present)

    def __len__(self) -> int:
        """About how many are live, in constant time: counts those that are just ending, too."""
        return len(self._known)

    def held(self) -> int:
        """About how many take a place of the worker.

        A polling client that has joined no namespace and has no poll open takes none.
        """
        idle = sum(one.link is None and not one.polls for one in self._waiting.all())
        return len(self._known) - idle

    def in_flight(self) -> int:
        """How many handlers run now, also for sessions that have ended."""
        return sum(session.in_flight for session in list(self._known.values()))

    def get(self, sid: str) -> Session | None:
        """A session that is live, or for which a handler still runs; else None."""
        return self._known.get(sid)

    def socket(self, sid: str) -> Any | None:
        """Engine.IO's socket of a session, unless it is closed."""
        found = self.server.eio.sockets.get(sid)
        return None if found is None or found.closed else found

    def addresses(self, sid: str) -> list[tuple[str, str]]:
        """(namespace, Socket.IO sid) of each namespace that a session has joined."""
        manager = self.server.manager
        pairs = [(name, manager.sid_from_eio_sid(sid, name)) for name in list(manager.rooms)]
        return [(name, own) for name, own in pairs if own is not None]

    def current(self) -> Session | None:
        """The session whose event is being handled; None outside of Socket.IO."""
        own = getattr(request, "sid", None) if has_request_context() else None
        if own is None:
            return None
        eio_sid = self.held_by(request.namespace, own)  # type: ignore[attr-defined]
        return None if eio_sid is None else self._known.get(eio_sid)

    def held_by(self, namespace: str, own: str) -> str | None:
        """The Engine.IO sid of a Socket.IO sid; None if there is no such client."""
        found: str | None = self.server.manager.eio_sid_from_sid(own, namespace)
        return found

    def has_websocket(self, sid: str) -> bool:
        """Whether a session has a websocket, or one of its own is being upgraded to."""
        session, socket = self._known.get(sid), self.socket(sid)
        has_link = session is not None and session.link is not None
        return has_link or (socket is not None and bool(socket.upgraded))

    def attach_link(self, sid: str, link: Any) -> None:
        """Remember the socket below a session's websocket; None: it is closed."""
        session = self._known.get(sid)
        if session is not None:
            session.link = link
            self._forget_if_over(session)

    def _open_sockets(self) -> list[Any]:
        return [s for s in list(self.server.eio.sockets.values()) if s.connected and not s.closed]

    def sweep(self) -> None:
        """Forget sessions that are over, and end those that joined no namespace in time.

        Sessions are forgotten when they end; this catches those where a race kept one. Example:
        an event arrives while its session is being closed, and remembers it again.
        """
        for session in self._waiting.late():
            self._turn_out(session)
        self.incoming.sweep(lambda sid: self.socket(sid) is not None)
        for session in list(self._known.values()):
            self._forget_if_over(session)

    def _add(self, sid: str) -> Session:
        return self._known.setdefault(sid, Session(sid))

    def _touch(self, sid: str) -> Session:
        """The session that just sent something; it is not remembered if it has ended meanwhile."""
        session = self._known.get(sid) or Session(sid)
        if self.socket(sid) is not None:
            session = self._known.setdefault(sid, session)
        session.active_at = time.monotonic()
        return session

    def _forget_if_over(self, session: Session) -> None:
        if self.socket(session.sid) is None and not session.in_flight and session.link is None:
            self._known.pop(session.sid, None)

    def _turn_out(self, session: Session) -> None:
        """End a session that joined no namespace; requests with its id get 400 from now on."""
        self._waiting.remove(session.sid)
        socket, link = self.socket(session.sid), session.link
        if socket is not None:
            socket.close(wait=False, abort=True)
        if link is not None:
            cut(link)
        else:
            # Engine.IO would keep it in its table until its next sweep.
            self.server.eio.sockets.pop(session.sid, None)
        self._forget_if_over(session)

    def _finish(self, session: Session, key: int) -> None:
        session.running.discard(key)
        if not session.running:
            self._forget_if_over(session)

    def _wrap_handshakes(self, eio: Any) -> None:
        connect, disconnect = eio.handlers["connect"], eio.handlers["disconnect"]
        message = eio.handlers["message"]

        def connected(sid: str, environ: dict[str, Any]) -> Any:
            environ["mina_ops.sid"] = sid
            session = self._add(sid)
            session.link, session.client = environ.get("mina_ops.link"), client_of(environ)
            session.agent = agent_of(environ)
            for other in self._waiting.add(session):
                self._turn_out(other)
            return connect(sid, environ)

        def disconnected(sid: str, *reason: Any) -> Any:
            session = self._add(sid)
            session.end()
            self._waiting.remove(sid)
            session.running.add(id(reason))
            try:
                return disconnect(sid, *reason)
            finally:
                self.incoming.forget(sid)
                if not session.joined:
                    self.count_handshake("no_connect", session.client)
                self._finish(session, id(reason))
                # Not `_forget_if_over`: Engine.IO marks the socket as closed after this handler.
                if not session.in_flight and session.link is None:
                    self._known.pop(sid, None)

        def said(sid: str, data: Any) -> Any:
            # Packets that a client had sent before its session ended are dropped. For a binary
            # event the server would raise: its namespaces go before the socket counts as closed.
            found = eio.sockets.get(sid)
            if found is not None and not found.closed:
                try:
                    return message(sid, data)
                except (ValueError, TypeError):
                    if not found.closing:
                        raise
            self.incoming.refuse(sid)
            return None

        eio.on("connect", connected)
        eio.on("disconnect", disconnected)
        eio.on("message", said)

    def _with_arrival(self, handle: Call) -> Call:
        manager = self.server.manager

        def received(
            eio_sid: str, namespace: str | None, number: int | None, data: Any, *rest: Any
        ) -> Any:
            session = self._touch(eio_sid)
            if data[0] == MOVING:
                session.moving_at = session.active_at
                return None
            session.note_run(data)
            name = namespace or "/"
            if manager.is_connected(manager.sid_from_eio_sid(eio_sid, name), name):
                # It counts as running from here on: its own thread may start much later.
                session.running.add(id(data))
            elif session.ended:
                self.incoming.refuse(eio_sid)
            return handle(eio_sid, namespace, number, data, *rest)

        return received

    def _with_end(self, handle: Call) -> Call:
        def handled(server: Any, own: str, eio_sid: str, data: Any, *rest: Any) -> Any:
            try:
                return handle(server, own, eio_sid, data, *rest)
            finally:
                session = self._known.get(eio_sid)
                if session is not None:
                    self._finish(session, id(data))

        return handled

    def _with_joining(self, connect: Call) -> Call:
        manager = self.server.manager

        def joining(eio_sid: str, namespace: str | None, *rest: Any) -> Any:
            session = self._touch(eio_sid)
            session.running.add(id(rest))
            outcome = "connect_error"
            try:
                result = connect(eio_sid, namespace, *rest)
                own = manager.sid_from_eio_sid(eio_sid, namespace or "/")
                outcome = "refused" if own is None else "accepted"
                return result
            finally:
                if not session.joined:
                    session.joined = True
                    self._waiting.remove(eio_sid)
                    if outcome == "accepted":
                        self.newcomers.append(session)
                    self.count_handshake(outcome, session.client)
                self._finish(session, id(rest))

        return joining
