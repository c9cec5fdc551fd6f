"""`MinaOps`: the one line that a host adds, and the only place where parts are wired together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, has_app_context

from mina_ops.app import settings
from mina_ops.app.admin import Admin, Archive, Audit, Guard
from mina_ops.app.component import Part
from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.database.source import source_of
from mina_ops.app.drain import Drain
from mina_ops.app.drain.holds import Flush, Hold
from mina_ops.app.flags import Flags
from mina_ops.app.health import Health
from mina_ops.app.health.model import Found
from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.leases import Leases
from mina_ops.app.metrics import Metrics
from mina_ops.app.metrics.outcomes import Outcome
from mina_ops.app.native import Native
from mina_ops.app.sessions import Connections
from mina_ops.app.settings import Settings
from mina_ops.app.state import Store, open_store
from mina_ops.app.state.presence import Presence
from mina_ops.app.streams.streams import Streams
from mina_ops.app.web import host_extensions as neighbours
from mina_ops.app.web import session_keys as sessions
from mina_ops.app.web.middleware import Middleware
from mina_ops.errors import ConfigurationError


@dataclass(frozen=True)
class Runtime:
    """All of mina_ops for one app; lives in `app.extensions["mina_ops"]`."""

    settings: Settings
    store: Store
    presence: Presence
    heartbeat: Heartbeat
    guard: Guard
    audit: Audit
    admin: Admin
    metrics: Metrics
    health: Health
    connections: Connections
    drain: Drain
    flags: Flags
    leases: Leases

    @property
    def parts(self) -> tuple[Part, ...]:
        """The features, in the order in which they beat."""
        # Health never waits for Redis: it is first, so that no other delays its first results.
        first = (self.health, self.metrics, self.connections, self.drain)
        return (*first, self.flags, self.leases, self.admin)


class MinaOps:
    """Makes a Flask / Flask-SocketIO app one that can be switched safely.

    ``MinaOps(app, socketio=socketio, db=db)``, or ``ops = MinaOps()`` and ``ops.init_app(app)``
    in a factory. `socketio` and `db` (a Flask-SQLAlchemy object) are found in
    `app.extensions` when they are not given. Settings: docs/configuration.md.

    Raises:
        ConfigurationError: a setting is unknown or cannot be used.
    """

    def __init__(self, app: Flask | None = None, *, socketio: Any = None, db: Any = None) -> None:
        self._socketio = socketio
        self._db = db
        self._last: Runtime | None = None
        self._only: Runtime | None = None
        self._checks: list[Callable[[Health], None]] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, *, socketio: Any = None, db: Any = None) -> None:
        """Wire an app up; call it once for each app, after `socketio.init_app`."""
        if "mina_ops" in app.extensions:
            raise RuntimeError("This app has a MinaOps already; make one for each app, once.")
        socketio = socketio or self._socketio or app.extensions.get("socketio")
        db = db or self._db or app.extensions.get("sqlalchemy")
        runtime = _build(app, settings.load(app.config), socketio, db)
        app.extensions["mina_ops"] = runtime
        for add_check in self._checks:
            add_check(runtime.health)
        self._only = runtime if self._last is None else None
        self._last = runtime
        _wire(app, runtime)

    @property
    def runtime(self) -> Runtime:
        """The runtime of the current app; outside any app context, of the app bound last."""
        if has_app_context() and "mina_ops" in current_app.extensions:
            found: Runtime = current_app.extensions["mina_ops"]
            return found
        if self._last is None:
            raise ConfigurationError("No app yet: call init_app(app) first.")
        return self._last

    def health_check(
        self, name: str, **options: Any
    ) -> Callable[[Callable[[], Found]], Callable[[], Found]]:
        """Decorator: the function becomes a health check of each app that this object is bound to.

        It is run beside requests, in an app context; it fails by raising or returning False, and
        may return a mapping that everyone sees. Options are those of
        `mina_ops.app.health.model.Check`: `critical=True, deadline_seconds=2.0, ttl_seconds=5.0,
        shared=True, native=False, groups`; `deadline` and `ttl` are short for the two times.

        Raises:
            ValueError: the name is taken or cannot be used, or a time is not above 0.
        """

        def register(run: Callable[[], Found]) -> Callable[[], Found]:
            def add(health: Health) -> None:
                health.add(name, run, **options)

            if self._last is not None:
                add(self.runtime.health)
            self._checks.append(add)
            return run

        return register

    @property
    def flags(self) -> Flags:
        """Feature flags: `ops.flags.is_enabled("key", unit=user_id)`."""
        # Looking for the current app takes longer than the flag itself.
        return (self._only or self.runtime).flags

    @property
    def connections(self) -> Connections:
        """Live sessions of this process and its colour."""
        return self.runtime.connections

    @property
    def drain(self) -> Drain:
        """The drain of this colour: its state, and how to begin, watch and cancel it."""
        return self.runtime.drain

    @property
    def streams(self) -> Streams:
        """Numbered streams: `with ops.streams.receive(stream, seq) as fresh: ...`."""
        return self.runtime.connections.streams

    def hold(self, kind: str, name: object, *, flush: Flush | None = None) -> Hold:
        """Work that must end, or be flushed, before its session is closed by a drain.

        `with ops.hold("audio-buffer", stream_id, flush=save): ...`; see `mina_ops.app.drain.holds`.
        """
        return self.runtime.drain.hold(kind, name, flush=flush)

    def outcome(self, name: str) -> Outcome:
        """One attempt at `name`: `with ops.outcome("transcription"): ...`, or tell its
        `success()` or `failure()`; see `mina_ops.app.metrics.outcomes`."""
        return self.runtime.metrics.outcome(name)

    def active_sessions(self, count: Callable[[], int]) -> Callable[[], int]:
        """Ask `count()` every few seconds, beside requests, how many sessions are active."""
        return self.runtime.metrics.active_sessions(count)


def _build(app: Flask, chosen: Settings, socketio: Any, db: Any) -> Runtime:
    store = open_store(chosen)
    presence = Presence(store, chosen)
    heartbeat = Heartbeat(chosen.beat_seconds)
    guard = Guard(chosen)
    own = OwnConnection(source_of(app, chosen, db, Native()))
    has_database = bool(chosen.database_url) or db is not None
    audit = Audit(store, chosen, Archive(own if has_database else None))
    metrics = Metrics(chosen, store, presence)
    connections = Connections(app, chosen, store, presence, heartbeat, metrics.websocket, socketio)
    drain = Drain(app, chosen, store, presence, heartbeat, guard, audit, connections)
    flags = Flags(chosen, store, guard, audit)
    health = Health(
        app,
        chosen,
        store,
        presence,
        guard,
        socketio=socketio,
        own=own,
        socketio_server=lambda: connections.server,
        drain_state=lambda: str(drain.state),
    )
    connections.admissions.append(health.admit)
    metrics.on_outcome = health.note_outcome
    metrics.gauge(
        "mina_ops_process_connections",
        "Live Socket.IO sessions of the process that was asked.",
        lambda: None if connections.server is None else connections.count().total,
    )
    return Runtime(
        chosen,
        store,
        presence,
        heartbeat,
        guard,
        audit,
        Admin(chosen, guard, audit),
        metrics,
        health,
        connections,
        drain,
        flags,
        Leases(chosen, store, guard, audit),
    )


def _wire(app: Flask, runtime: Runtime) -> None:
    heartbeat, presence = runtime.heartbeat, runtime.presence
    blueprints = [blueprint for part in runtime.parts for blueprint in part.blueprints()]
    for part in runtime.parts:
        presence.contribute(part.name, part.report)
        heartbeat.at_start(part.at_start)
        heartbeat.every_beat(part.name, part.beat)
    heartbeat.every_beat("presence", presence.beat)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    heartbeat.at_start(lambda: neighbours.exempt(app, blueprints))
    neighbours.exempt(app, blueprints)
    sessions.verify_with_fallbacks(app)
    # A bound method, as the one in its place was: Python calls it faster than an object.
    app.wsgi_app = _wrap(app, runtime).__call__  # type: ignore[assignment, method-assign]


def _wrap(app: Flask, runtime: Runtime) -> Middleware:
    chosen = runtime.settings
    probes = {path: probe for part in runtime.parts for path, probe in part.probes().items()}
    return Middleware(
        app.wsgi_app,
        probes=probes,
        own_paths=(
            "/admin/drain",
            "/admin/flags",
            "/admin/audit",
            "/admin/leases",
            "/admin/openapi",
            "/api/flags",
            "/ofrep/v1",
        ),
        skip=(runtime.connections.path,),
        identity=identity(chosen),
        heartbeat=runtime.heartbeat,
        durations=runtime.metrics.durations,
        log=runtime.metrics.log,
    )


def identity(chosen: Settings) -> Mapping[str, str]:
    """The headers that name colour and version in every answer of ours."""
    return {"X-Mina-Environment": chosen.environment, "X-Mina-Version": chosen.version}
