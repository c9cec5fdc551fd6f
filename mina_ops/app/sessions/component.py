"""The connections of one app: its Socket.IO server's door, its sessions, and their count."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask

from mina_ops.app.component import Part
from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.sessions import routes
from mina_ops.app.sessions.binding import bind_later, path_of, server_of
from mina_ops.app.sessions.capacity import Capacity
from mina_ops.app.sessions.gevent_websocket import refuse_before_upgrade
from mina_ops.app.sessions.handshakes import Admission, Door
from mina_ops.app.sessions.model import Count, count_from, sid_prefix, total
from mina_ops.app.sessions.ping import answer_pings
from mina_ops.app.sessions.raw_ping import RawPings
from mina_ops.app.sessions.sessions import Note, Sessions
from mina_ops.app.settings import Settings
from mina_ops.app.state.base import Store
from mina_ops.app.state.presence import Presence
from mina_ops.app.streams.streams import Streams
from mina_ops.app.web.answers import Answer, Probe


class Connections(Part):
    """Tags sessions with their colour, counts them, and asks admissions about each handshake.

    Args:
        note: told `accepted`, or why a handshake came to nothing; see `Metrics.websocket`.
        socketio: None, or a Flask-SocketIO object before or after its `init_app`.
    """

    name = "connections"

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        store: Store,
        presence: Presence,
        heartbeat: Heartbeat,
        note: Note,
        socketio: Any = None,
    ) -> None:
        self.environment = settings.environment
        self.colours = tuple(dict.fromkeys((*settings.colours, settings.environment)))
        self.streams = Streams(store)
        self.sessions: Sessions | None = None
        self.door: Door | None = None
        self.raw_pings: RawPings | None = None
        self.admissions: list[Admission] = []
        self.drain_state: Callable[[str], str] = lambda _colour: "serving"
        self._app = app
        self._settings = settings
        self._presence = presence
        self._heartbeat = heartbeat
        self._note = note
        self._socketio = socketio
        if socketio is not None:
            self._bind_now_or_later(socketio)

    @property
    def server(self) -> Any | None:
        """The app's `socketio.Server`, once there is one."""
        return None if self.sessions is None else self.sessions.server

    @property
    def path(self) -> str:
        """Path below which Socket.IO is served."""
        return path_of(self._socketio, self._app)

    def bind(self, server: Any) -> None:
        """Wrap a server, in place of the one before; wrapping it again does nothing."""
        if self.server is server:
            return
        settings = self._settings
        tag, generate = sid_prefix(settings.environment, settings.instance), server.eio.generate_id
        server.eio.generate_id = lambda: f"{tag}{generate()}"
        self.sessions = sessions = Sessions(server, self._note)
        self.raw_pings = raw_pings = RawPings(server, settings)
        capacity = Capacity(
            settings, lambda: len(sessions) + raw_pings.count, server.eio.async_mode
        )
        self.door = Door(
            self._app,
            self.path,
            sessions,
            raw_pings,
            admissions=[self._ask_admissions, capacity.admit],
            identity={
                "X-Mina-Environment": settings.environment,
                "X-Mina-Version": settings.version,
            },
            note=self._note,
            arrived=self._arrived,
        )
        refuse_before_upgrade(self.door)
        answer_pings(server)

    def count(self) -> Count:
        """Live sessions of this process."""
        return Count() if self.sessions is None else self.sessions.count()

    def figures(self, colour: str) -> dict[str, Any]:
        """Live sessions of a colour over all its processes, from memory."""
        peers = self._presence.peers(colour)
        counts = {name: count_from(r.get(self.name)) for name, r in peers.reports.items()}
        sums = total(counts.values())
        read_at = time.time() - (peers.age_seconds or 0.0)
        return {
            "active_connections": sums.total,
            "by_transport": sums.by_transport,
            "by_namespace": sums.by_namespace,
            "by_process": {name: count.total for name, count in counts.items()},
            "drain": self.drain_state(colour),
            "environment": colour,
            "window_seconds": 0,
            "samples": sums.total,
            "reporters": len(counts),
            "generated_at": datetime.fromtimestamp(read_at, UTC).isoformat(timespec="milliseconds"),
            "stale": peers.stale,
        }

    def probes(self) -> Mapping[str, Probe]:
        return routes.probes(self)

    def at_start(self) -> None:
        found = self._app.extensions.get("socketio") if self._socketio is None else self._socketio
        server = server_of(found, self._app) if found is not None else None
        if server is not None:
            self._socketio = found
            self.bind(server)

    def beat(self, now: float) -> None:
        if self.sessions is not None:
            self.sessions.sweep()
        self.streams.beat()

    def report(self) -> Any:
        return self.count().as_json()

    def _ask_admissions(self, environ: Mapping[str, Any]) -> tuple[str, Answer] | None:
        answers = (admit(environ) for admit in self.admissions)
        return next((answer for answer in answers if answer is not None), None)

    def _arrived(self) -> None:
        if not self._heartbeat.running:
            self._heartbeat.start()

    def _bind_now_or_later(self, socketio: Any) -> None:
        server = server_of(socketio, self._app)
        if server is not None:
            self.bind(server)
        bind_later(socketio, self._app, self.bind)
