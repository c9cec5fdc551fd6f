"""Connection state recovery for the namespaces that the host names, whichever process it is.

A client gets a private id (`pid`) with its CONNECT answer, and a mark with each event. When it
reconnects, it sends both; stock socket.io-client does so by itself. It then gets back its sid, its
rooms, what handlers put into its session, and the events that it missed, and `socket.recovered` is
true. If anything is missing, nothing is restored, and the client gets a new pid, by which it knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mina_ops.app import socketio_adapter as adapter
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.recovery.clients import (
    Client,
    bears_marks,
    cookie_keys,
    marks_shown,
    new_pid,
    session_text,
    sessions_from,
    without_recovery,
)
from mina_ops.app.recovery.hearing import Hearing
from mina_ops.app.recovery.log import Log
from mina_ops.app.recovery.model import HEARD_SECONDS, Entry, Mark, mark_from, missed
from mina_ops.app.recovery.sending import Sending
from mina_ops.app.recovery.watching import Watcher
from mina_ops.app.sessions.component import Connections
from mina_ops.app.socketio_adapter import Call
from mina_ops.app.socketio_binding import SocketIOBinding
from mina_ops.errors import StateUnavailable

_log = logging.getLogger(__name__)

# How far the store's clock and an emitter's clock may differ.
CLOCK_SECONDS = 5.0
RECOVERING = "mina_ops.recovering"
"""Key of a handshake's environ for connect handlers: True if the client may be recovered."""


@dataclass
class _Joining:
    """A client whose connect handler runs; `mark` and `state` are set if it may be recovered."""

    client: Client
    mark: Mark | None = None
    state: dict[str, Any] | None = None


class Recovery(Component):
    """Connection state recovery; does nothing where no namespace is named."""

    name = "recovery"

    def __init__(
        self, context: Context, binding: SocketIOBinding, connections: Connections
    ) -> None:
        settings = context.settings
        self._context = context
        self._connections = connections
        self._seconds = settings.recovery_seconds
        self._events = Log(
            context.store,
            # A state is saved again each third of the time, so it lives for that much longer.
            seconds=settings.recovery_seconds * 4 / 3,
            events=settings.recovery_events,
        )
        self.sending = Sending(settings.recovery_namespaces, self._events, context.clock)
        self._joining: dict[tuple[str, str], _Joining] = {}
        self._next_sid: ContextVar[str | None] = ContextVar("mina_ops_sid", default=None)
        self._refreshed_at = 0.0
        self._hearing = Hearing()
        if settings.recovery_namespaces:
            binding.when_bound(self._bind)

    def at_start(self) -> None:
        if self.sending.server is not None:
            self._events.agree()
            self._hearing.begin(self.sending.server)

    def beat(self, now: float) -> None:
        """Save the states of connected clients again, before they expire."""
        clock = self._context.clock
        if clock.monotonic() - self._refreshed_at < self._seconds / 3:
            return
        self._refreshed_at = clock.monotonic()
        for client in list(self.sending.clients.values()):
            client.replayed.clear()
            self._save(client)

    def close(self) -> None:
        self._events.close()

    def _bind(self, server: Any) -> None:
        if adapter.missing_names(server):
            return
        self.sending.server = server
        generate = server.eio.generate_id
        server.eio.generate_id = lambda: self._next_sid.get() or generate()
        adapter.watch_manager(
            server, Watcher(self.sending, changed=self.changed, leaves=self.forget)
        )
        adapter.wrap_connect(server, self._with_joining)
        adapter.wrap_connect_answer(server, self._answer)
        adapter.wrap_handling(server, self._with_saving)

    def _with_joining(self, connect: Call) -> Call:
        def joining(eio_sid: str, namespace: str | None, auth: Any = None) -> Any:
            name = namespace or "/"
            server = self.sending.server
            environ = server.environ.get(eio_sid) or {}
            if name not in self.sending.namespaces:
                return connect(eio_sid, namespace, auth)
            passed = without_recovery(auth)
            if not bears_marks(environ, auth):
                return connect(eio_sid, namespace, passed)
            joining = self._begin(eio_sid, name, auth, environ)
            self._joining[eio_sid, name] = joining
            sid = joining.state["sid"] if joining.state else None
            environ[RECOVERING] = sid is not None
            try:
                with self._sid(sid):
                    return connect(eio_sid, namespace, passed)
            finally:
                self._joining.pop((eio_sid, name), None)
                if sid is not None and server.manager.sid_from_eio_sid(eio_sid, name) is None:
                    self.sending.clients.pop((name, sid), None)

        return joining

    def _begin(self, eio_sid: str, namespace: str, auth: Any, environ: dict[str, Any]) -> _Joining:
        client = Client(new_pid(), eio_sid, namespace, self._context.clock.now())
        client.cookie = cookie_keys(self._context.app, environ)
        shown = marks_shown(auth, namespace)
        pid = shown.get("pid")
        if not isinstance(pid, str) or len(pid) > 64:
            return _Joining(client)
        try:
            state, epoch = self._events.state(pid), self._events.agree()
        except StateUnavailable:
            return _Joining(client)
        mark = mark_from(shown.get("offset"))
        if state is None or state["namespace"] != namespace:
            return _Joining(client)
        mark = mark or Mark("", {}, state["epoch"], state["since"])
        if mark.epoch != epoch:
            return _Joining(client)
        client.pid, client.sid, client.since = pid, state["sid"], state["since"]
        self._end_ghost(namespace, client.sid)
        # From here on new events for it wait in `held`: those that it missed come first.
        client.held = []
        self.sending.clients[namespace, client.sid] = client
        return _Joining(client, mark, state)

    def _end_ghost(self, namespace: str, sid: str) -> None:
        """End the client's earlier connection, if that was to this process and is still open."""
        ghost = self.sending.clients.pop((namespace, sid), None)
        socket = None if ghost is None else self.sending.server.eio.sockets.get(ghost.eio_sid)
        if socket is not None and not socket.closed:
            socket.close(wait=False, abort=True)

    def _answer(self, eio_sid: str, packet: Any) -> Callable[[], None] | None:
        """Add the pid to a CONNECT answer; returns what to do after the answer was sent."""
        namespace = packet.namespace or "/"
        joining = self._joining.get((eio_sid, namespace))
        if joining is None:
            return None
        client, sid = joining.client, packet.data["sid"]
        client.sid = sid
        entries: list[Entry] = []
        if joining.state is not None and joining.mark is not None:
            found = self._restore(client, joining.mark, joining.state)
            if found is None:
                client.pid = new_pid()
            entries = found or []
        with self.sending.lock:
            self.sending.clients[namespace, sid] = client
        session = self._connections.session(eio_sid)
        if session is not None:
            session.pids[namespace] = client.pid
        packet.data = {**packet.data, "pid": client.pid}
        self._save(client)
        mark = joining.mark

        def send_missed() -> None:
            if client.held is not None and mark is not None:
                with self.sending.lock:
                    self.sending.replay(client, mark, entries)

        return send_missed

    def _restore(self, client: Client, mark: Mark, state: dict[str, Any]) -> list[Entry] | None:
        """Restore rooms and session. Returns the missed events; None if some are gone."""
        server, namespace, sid = self.sending.server, client.namespace, client.sid
        rooms = [room for room in state["rooms"] if room != sid]
        for room in rooms:
            server.enter_room(sid, room, namespace=namespace)
        names = ["", sid, *map(str, rooms)]
        self._hearing.settle(server)
        since = mark.at - (HEARD_SECONDS + CLOCK_SECONDS if mark.event else 0)
        try:
            logged = self._events.read(namespace, names, max(since, state["since"]))
        except StateUnavailable:
            logged = None
        if logged is None:
            for room in rooms:
                server.leave_room(sid, room, namespace=namespace)
            return None
        kept, own = sessions_from(state["session"])
        saved = server.environ[client.eio_sid].get("saved_session")
        if saved is not None:
            saved.update({k: v for k, v in kept.items() if k not in client.cookie})
        if own:
            server.save_session(sid, {**own, **server.get_session(sid, namespace)}, namespace)
        return list(missed(mark, sid, logged, self.sending.recent(namespace, names)).values())

    def _with_saving(self, handle: Call) -> Call:
        def handled(
            server: Any, own: str, eio_sid: str, data: Any, namespace: str, *rest: Any
        ) -> Any:
            try:
                return handle(server, own, eio_sid, data, namespace, *rest)
            finally:
                client = self.sending.clients.get((namespace or "/", own))
                if client is not None and self._session_text(client) != client.saved:
                    self._save(client)

        return handled

    def _session_text(self, client: Client) -> str:
        server = self.sending.server
        environ = server.environ.get(client.eio_sid)
        if environ is None or client.eio_sid not in server.eio.sockets:
            return client.saved
        own = server.eio.get_session(client.eio_sid).get(client.namespace) or {}
        return session_text(client, environ, own)

    def _save(self, client: Client) -> None:
        """Save a client's state, unless its session is leaving: another process may have it now."""
        session = self._connections.session(client.eio_sid)
        if session is not None and session.leaving:
            return
        client.saved = self._session_text(client)
        rooms = self.sending.server.rooms(client.sid, namespace=client.namespace)
        self._events.save(
            client.pid,
            {
                "sid": client.sid,
                "namespace": client.namespace,
                "rooms": [room for room in rooms if isinstance(room, str | int)],
                "session": client.saved,
                "epoch": self._events.epoch,
                "since": client.since,
            },
        )

    def forget(self, namespace: str, sid: str, *, for_good: bool) -> None:
        """Forget a client that disconnects; its saved state, too, if it does so `for_good`."""
        client = self.sending.clients.get((namespace, sid))
        if client is None:
            return
        session = self._connections.session(client.eio_sid)
        del self.sending.clients[namespace, sid]
        if for_good and not (session is not None and session.leaving):
            self._events.save(client.pid, None)

    def changed(self, namespace: str, sid: str) -> None:
        """Save the state of a client that entered or left a room."""
        client = self.sending.clients.get((namespace, sid))
        if client is not None and client.held is None:
            self._save(client)

    @contextmanager
    def _sid(self, sid: str | None) -> Iterator[None]:
        """Give the client that joins within this block this sid; None: a new one."""
        token = self._next_sid.set(sid)
        try:
            yield
        finally:
            self._next_sid.reset(token)
