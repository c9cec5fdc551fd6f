"""`Health`: the app's checks, and the probes that read their last results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flask import Flask

from mina_ops.app.admin import Guard
from mina_ops.app.component import Part
from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.health import caller, report, routes
from mina_ops.app.health.builtin import BuiltIn
from mina_ops.app.health.model import READY, UNHEALTHY, UNKNOWN, Check, Found, Rule
from mina_ops.app.health.monitor import Monitor
from mina_ops.app.health.pulse import Pulse
from mina_ops.app.health.readiness import Readiness
from mina_ops.app.health.registry import Registry
from mina_ops.app.settings import Settings
from mina_ops.app.state import Store
from mina_ops.app.state.presence import Presence
from mina_ops.app.web.answers import Answer, Probe, ProbeRequest
from mina_ops.errors import ConfigurationError

AI_OUTCOME = "ai_insights"

_FIT = 200
_FIRST_ROUND_SECONDS = 0.03
"""How long a request may wait for the first results of a process that just started."""


class Health(Part):
    """Runs the checks beside requests; every answer is read from memory.

    Args:
        socketio: the host's Flask-SocketIO object; None: looked for in the app's extensions when
            the process starts to serve.
        own: our connection to the app's database.
        socketio_server: the Socket.IO server that belongs to this app, once it is known.
        drain_state: `serving`, `draining` or `drained`.
    """

    name = "health"

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        store: Store,
        presence: Presence,
        guard: Guard,
        *,
        socketio: Any = None,
        own: OwnConnection,
        socketio_server: Callable[[], Any] = lambda: None,
        drain_state: Callable[[], str] = lambda: "serving",
    ) -> None:
        self._app = app
        self._settings = settings
        self._guard = guard
        self._own = own
        self._drain_state = drain_state
        self._started_at = time.monotonic()
        self._pulse = Pulse(app.logger.name)
        self._identity = {"version": settings.version, "environment": settings.environment}
        self.registry = Registry(
            _rule(settings),
            soft=frozenset(settings.soft_checks),
            disabled=frozenset(settings.disabled_checks),
        )
        self._readiness = Readiness(
            settings, store, presence, self.registry, lambda: self._drain_state(), self._identity
        )
        self._built_in = BuiltIn(
            app, settings, store, socketio=socketio, own=own, socketio_server=socketio_server
        )
        for check in self._built_in.checks():
            self.registry.add(check)

    def add(
        self,
        name: str,
        run: Callable[[], Found],
        *,
        deadline: float | None = None,
        ttl: float | None = None,
        groups: Iterable[str] = (READY,),
        **options: Any,
    ) -> None:
        """Register a check of the host's own; it runs in an app context. Options: see `Check`.

        Raises:
            ValueError: the name is taken or cannot be used.
        """

        def in_context() -> Found:
            with self._app.app_context():
                return run()

        options["groups"] = frozenset(groups)
        if deadline is not None:
            options["deadline_seconds"] = deadline
        if ttl is not None:
            options["ttl_seconds"] = ttl
        self.registry.add(Check(name=name, run=in_context, **options))

    def note_outcome(self, name: str, succeeded: bool) -> None:
        """Hear of an outcome that the host recorded; `ai_insights` says how its AI service does."""
        if name == AI_OUTCOME:
            self._built_in.openai_calls.note(succeeded)

    def probes(self) -> Mapping[str, Probe]:
        return routes.probes(self)

    def at_start(self) -> None:
        for check in self._built_in.late():
            if self.registry.monitors[check.name].check.run is None and check.run is not None:
                self.registry.replace(check)
        self.registry.begin()
        self._pulse.start()

    def beat(self, now: float) -> None:
        self.registry.settle()
        self.registry.run_due()
        self._own.rest()

    def report(self) -> dict[str, Any]:
        return {"failing": list(self.registry.failing()), "started": self.registry.started}

    def overview(self, request: ProbeRequest) -> Answer:
        """`/api/health`: all checks, or those of a group, less the excluded ones."""
        self._catch_up()
        wish = routes.wish_of(request)
        chosen = list(self._chosen(wish))
        status, fit = report.judge(chosen)
        uptime = time.monotonic() - self._started_at
        if wish.ietf:
            body = report.ietf_body(status, fit, chosen, self._identity, uptime)
            return routes.answer(fit, body, content_type=report.HEALTH_JSON)
        view = self._view(request, wish)
        checks = {
            monitor.check.name: report.check_body(monitor, **view)
            for monitor in chosen
            if report.shown(monitor, verbose=wish.verbose)
        }
        body = {"status": status, **self._identity, "checks": checks}
        body["uptime_seconds"] = round(uptime, 1)
        if warnings := report.warnings(chosen):
            body["warnings"] = warnings
        if wish.verbose:
            body |= self._situation(wish)
        return routes.answer(fit, body)

    def component(self, name: str, request: ProbeRequest) -> Answer:
        """`/api/health/<name>`: one check, in its own words."""
        self._catch_up()
        monitor = self.registry.find(name)
        if monitor is None:
            raise routes.unknown_check(name, sorted(self.registry.monitors))
        view = self._view(request, routes.wish_of(request))
        fit = monitor.reading.state not in (UNHEALTHY, UNKNOWN)
        return routes.answer(fit, report.component_body(monitor, **view))

    def live(self, request: ProbeRequest) -> Answer:
        """`/live`: this process answers, and what it serves on is not stuck; asks nothing else."""
        if self._pulse.is_stuck():
            return routes.answer(False, {"status": "stuck", **self._identity})
        uptime = round(time.monotonic() - self._started_at, 1)
        return Answer(200, {"status": "alive", **self._identity, "uptime_seconds": uptime})

    def is_started(self, request: ProbeRequest) -> Answer:
        """`/started`: every check has run once, or is over its deadline."""
        self._catch_up()
        if self.registry.started:
            return routes.answer(True, {"status": "started", **self._identity})
        waiting = [m.check.name for m in self._monitors() if m.reading.state == UNKNOWN]
        return routes.answer(False, {"status": "starting", **self._identity, "waiting": waiting})

    def ready(self, request: ProbeRequest) -> Answer:
        """`/ready`: started, not draining, and no critical check fails for this process alone."""
        if not self.registry.started:
            self._catch_up()
        else:
            self.registry.settle()
        return self._readiness.answer()

    def admit(self, environ: Mapping[str, Any]) -> tuple[str, Answer] | None:
        """Turn a handshake away that the load balancer may send elsewhere, where this is unready.

        It says so in `X-Mina-Only-If-Ready`; a colour that has all visitors keeps them, since
        there is nobody else to take them.
        """
        if "HTTP_X_MINA_ONLY_IF_READY" not in environ:
            return None
        answer = self._readiness.answer()
        return None if answer.status == _FIT else ("unready", answer)

    def _monitors(self) -> Iterator[Monitor]:
        return iter(self.registry.monitors.values())

    def _catch_up(self) -> None:
        if not self.registry.started:
            self.registry.wait_for_first_round(_FIRST_ROUND_SECONDS)
        self.registry.settle()

    def _chosen(self, wish: routes.Wish) -> Iterator[Monitor]:
        if wish.group is not None:
            groups = {group for m in self._monitors() for group in m.check.groups}
            if wish.group not in groups:
                raise routes.unknown_check(wish.group, sorted(groups))
        for monitor in self._monitors():
            in_group = wish.group is None or wish.group in monitor.check.groups
            if in_group and monitor.check.name not in wish.excluded:
                yield monitor

    def _view(self, request: ProbeRequest, wish: routes.Wish) -> dict[str, bool]:
        database = self.registry.monitors["database"].reading
        # A session is looked up in the host's database: not while that is in doubt.
        ask = wish.verbose and database.state != UNHEALTHY and not database.hangs
        detail = caller.is_admin(self._app, self._guard, request.environ, ask_session=ask)
        return {"verbose": wish.verbose, "detail": detail}

    def _situation(self, wish: routes.Wish) -> dict[str, Any]:
        unknown = sorted(wish.excluded - set(self.registry.monitors))
        situation: dict[str, Any] = {
            "instance": self._settings.instance,
            "started": self.registry.started,
            "drain": self._drain_state(),
            "excluded": sorted(wish.excluded - set(unknown)),
        }
        if unknown:
            situation["warnings"] = [f"cannot exclude {name[:40]!r}: unknown" for name in unknown]
        return situation


def _rule(settings: Settings) -> Rule:
    if settings.health_needed > settings.health_window:
        raise ConfigurationError(
            f"MINA_OPS_HEALTH_NEEDED ({settings.health_needed}) is above MINA_OPS_HEALTH_WINDOW "
            f"({settings.health_window}): no state could ever turn."
        )
    return Rule(needed=settings.health_needed, window=settings.health_window)
