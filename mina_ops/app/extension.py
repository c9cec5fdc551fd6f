"""`MinaOps`: the one line that a host adds, and the only place where components are wired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from flask import Blueprint, Flask, current_app, has_app_context

from mina_ops.app import settings
from mina_ops.app.admin.audit import Audit
from mina_ops.app.admin.auth import make_guard
from mina_ops.app.admin.clash_routes import ClashRoutes
from mina_ops.app.admin.routes import AdminRoutes
from mina_ops.app.admin.token_routes import TokenRoutes
from mina_ops.app.clock import Clock
from mina_ops.app.component import Component
from mina_ops.app.console.component import make_console
from mina_ops.app.context import Context
from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.database.finding import source_of
from mina_ops.app.drain.arrivals import Arrivals
from mina_ops.app.drain.component import Drain
from mina_ops.app.drain.holds import Flush, Hold
from mina_ops.app.drain.routes import DrainRoutes
from mina_ops.app.flags.component import Flags
from mina_ops.app.flags.ofrep import OfrepRoutes
from mina_ops.app.flags.routes import FlagRoutes
from mina_ops.app.health.component import Health
from mina_ops.app.health.model import Found
from mina_ops.app.health.routes import HealthRoutes
from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.identity import Identity
from mina_ops.app.leases.routes import LeaseRoutes
from mina_ops.app.login.component import Login
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.metrics.outcomes import Outcome, OutcomeEvents
from mina_ops.app.metrics.own_cost import show_cost
from mina_ops.app.metrics.routes import MetricRoutes
from mina_ops.app.native import Native
from mina_ops.app.process import Kind, Process
from mina_ops.app.recovery.component import Recovery
from mina_ops.app.releases.freeze_routes import FreezeRoutes
from mina_ops.app.releases.gauges import ReleaseGauges
from mina_ops.app.releases.pages import PageReleases
from mina_ops.app.releases.routes import ReleaseRoutes
from mina_ops.app.runtime import Runtime
from mina_ops.app.sessions.admissions import Admissions
from mina_ops.app.sessions.component import Connections
from mina_ops.app.sessions.routes import ConnectionRoutes
from mina_ops.app.settings import Settings
from mina_ops.app.siblings import Siblings
from mina_ops.app.socketio_binding import SocketIOBinding
from mina_ops.app.state import open_store
from mina_ops.app.state.drain_state import DrainState
from mina_ops.app.state.presence import Presence
from mina_ops.app.state.shared_time import SharedTime
from mina_ops.app.streams.streams import Streams
from mina_ops.app.web import host_extensions, session_keys
from mina_ops.app.web.clashes import HostRoutes, own_paths
from mina_ops.app.web.middleware import Middleware
from mina_ops.app.web.own_app import OwnApp
from mina_ops.app.web.paths import Paths, Recording
from mina_ops.app.web.sticky import StickyKeys
from mina_ops.errors import ConfigurationError


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
        self._runtimes: WeakSet[Runtime] = WeakSet()
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
        self._runtimes.add(runtime)
        _wire(app, runtime)

    def close(self) -> None:
        """End every thread, connection and subscription that this object started; idempotent.

        For tests that make an app each, and for programs that go on without their app. The apps
        go on to serve: flags keep their last answers, probes their last results. Blocks for up to
        3 s for each app.
        """
        for runtime in list(self._runtimes):
            runtime.close()

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
        return self.runtime.streams

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
    context = make_context(app, chosen, db)
    binding, outcomes, siblings = SocketIOBinding(app, socketio), OutcomeEvents(), Siblings(chosen)
    admissions, drain_state = Admissions(), DrainState(context.presence)
    metrics = Metrics(context, outcomes)
    health = Health(context, binding, drain_state, outcomes, siblings)
    connections = Connections(context, binding, admissions, drain_state, metrics.handshake)
    streams = Streams(context.store, connections.current_session, context.identity.process_id)
    binding.when_bound(streams.refusals.wrap)
    binding.when_bound(metrics.watch_events)
    recovery = Recovery(context, binding, connections)
    drain = Drain(context, connections, drain_state, streams.kept, siblings)
    flags = Flags(context)
    for admit in (drain.admit, health.readiness.admit, connections.admit):
        admissions.add(admit)
    metrics.gauge(
        "mina_ops_process_connections",
        "Live Socket.IO sessions of the process that was asked.",
        lambda: None if binding.server is None else connections.total(),
    )
    show_cost(metrics, context.store)
    arrivals = Arrivals(context, connections, drain)
    routes: tuple[Component, ...] = (
        HealthRoutes(context, health),
        MetricRoutes(context, metrics),
        ConnectionRoutes(connections),
        arrivals,
        DrainRoutes(context, drain, arrivals),
        FlagRoutes(context, flags),
        OfrepRoutes(context, flags),
        LeaseRoutes(context),
        ReleaseRoutes(context),
        ReleaseGauges(context, metrics, drain_state),
        FreezeRoutes(context),
        make_console(context, health, metrics, flags, drain_state),
        AdminRoutes(context),
        Login(context),
        TokenRoutes(context, metrics.refused),
    )
    routes = (*routes, ClashRoutes(context, routes))
    talk, pages = (connections, streams, recovery, drain), PageReleases(context, binding)
    return Runtime(context, binding, health, metrics, *talk, flags, pages, routes)


def make_context(app: Flask, chosen: Settings, db: Any = None) -> Context:
    """What the components of an app stand on; nothing is started and nothing is asked yet."""
    identity, clock, store = Identity.of(chosen), Clock(), open_store(chosen)
    process = Process(chosen.process_kind)
    database = OwnConnection(source_of(app, chosen, db, Native()))
    has_database = bool(chosen.database_url) or db is not None
    return Context(
        app=app,
        settings=chosen,
        identity=identity,
        clock=clock,
        store=store,
        presence=Presence(
            store,
            identity,
            ttl_seconds=chosen.presence_ttl_seconds,
            beat_seconds=chosen.beat_seconds,
            process=process,
        ),
        database=database,
        heartbeat=Heartbeat(chosen.beat_seconds, clock, process),
        guard=make_guard(chosen, store, clock),
        audit=Audit(store, identity, clock, database if has_database else None),
    )


def _wire(app: Flask, runtime: Runtime) -> None:
    heartbeat, presence = runtime.context.heartbeat, runtime.context.presence
    components = runtime.components
    blueprints = [blueprint for one in components for blueprint in one.blueprints()]
    for component in components:
        if type(component).report is not Component.report:
            presence.contribute(component.name, component.report, component.merge)
        heartbeat.at_start(component.at_start, component.kinds)
    # Health waits for nobody, so it is first; what presence reads, the others look at.
    first, *others = components
    heartbeat.every_beat(first.name, first.beat, first.kinds)
    heartbeat.every_beat("clock", SharedTime(runtime.store, runtime.context.clock).beat)
    heartbeat.every_beat("presence", presence.beat, {Kind.WEB, Kind.WORKER})
    for component in others:
        heartbeat.every_beat(component.name, component.beat, component.kinds)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    heartbeat.at_start(lambda: host_extensions.exempt(app, blueprints))
    host_extensions.exempt(app, blueprints)
    session_keys.verify_with_fallbacks(app)
    # A bound method, as the one in its place was: Python calls it faster than an object.
    app.wsgi_app = _wrap(app, runtime, blueprints).__call__  # type: ignore[assignment, method-assign]


def _wrap(app: Flask, runtime: Runtime, blueprints: list[Blueprint]) -> Middleware:
    probes = {path: probe for one in runtime.components for path, probe in one.probes().items()}
    context = runtime.context
    return Middleware(
        app.wsgi_app,
        Paths(
            probes,
            own=own_paths(app),
            skip=(runtime.socketio.path,),
            own_app=OwnApp(app.import_name, blueprints, context.guard.is_ours),
            left_to_host=frozenset(p for one in runtime.components for p in one.left_to_host()),
            host_serves=HostRoutes(app).serves,
            to_page=runtime.pages.telling,
            to_newcomer=StickyKeys(context.identity.environment).giving,
        ),
        Recording(runtime.metrics.durations, runtime.metrics.log, runtime.drain.requests),
        context.identity.headers,
        context.heartbeat,
    )
