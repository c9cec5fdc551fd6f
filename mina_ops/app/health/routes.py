"""Everything below `/api/health`, answered below Flask from the checks' last results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.health import caller, report
from mina_ops.app.health.component import Health
from mina_ops.app.health.contract import contract
from mina_ops.app.health.model import UNHEALTHY, UNKNOWN
from mina_ops.app.health.monitor import Monitor
from mina_ops.app.health.report import HEALTH_JSON, fit_answer
from mina_ops.app.web.answers import Answer, Probe, ProbeRequest, wants
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.errors import NotFound

PREFIX = "/api/health"


@dataclass(frozen=True)
class Wish:
    """What a caller asks for, read from the query and the `Accept` header."""

    verbose: bool = False
    excluded: frozenset[str] = frozenset()
    group: str | None = None
    ietf: bool = False


class HealthRoutes(Component):
    """`/api/health`, each check's own path, and the probes `live`, `ready` and `started`."""

    name = "health.routes"

    def __init__(self, context: Context, health: Health) -> None:
        self._context = context
        self._health = health
        self._registry = health.registry
        self._started_at = time.monotonic()
        identity = context.identity
        self._identity = {"version": identity.version, "environment": identity.environment}

    def openapi(self) -> Contract:
        return contract()

    def probes(self) -> Mapping[str, Probe]:
        fixed: dict[str, Probe] = {
            PREFIX: self.overview,
            f"{PREFIX}/live": self.live,
            f"{PREFIX}/ready": self.ready,
            f"{PREFIX}/started": self.started,
        }

        def below(request: ProbeRequest) -> Answer:
            path = request.path.rstrip("/")
            probe = fixed.get(path)
            if probe is not None:
                return probe(request)
            return self.one_check(path.removeprefix(f"{PREFIX}/"), request)

        return {**fixed, f"{PREFIX}/": below}

    def overview(self, request: ProbeRequest) -> Answer:
        """`/api/health`: all checks, or those of a group, less the excluded ones."""
        self._registry.catch_up()
        wish = wish_of(request)
        chosen = list(self._chosen(wish))
        status, fit = report.judge(chosen)
        uptime = time.monotonic() - self._started_at
        if wish.ietf:
            body = report.ietf_body(status, fit, chosen, self._identity, uptime)
            return fit_answer(fit, body, content_type=HEALTH_JSON)
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
        return fit_answer(fit, body)

    def one_check(self, name: str, request: ProbeRequest) -> Answer:
        """`/api/health/<name>`: one check, in its own words."""
        self._registry.catch_up()
        monitor = self._registry.find(name)
        if monitor is None:
            raise unknown_check(name, sorted(self._registry.monitors))
        view = self._view(request, wish_of(request))
        fit = monitor.reading.state not in (UNHEALTHY, UNKNOWN)
        return fit_answer(fit, report.component_body(monitor, **view))

    def live(self, request: ProbeRequest) -> Answer:
        """`/live`: this process answers, and what it serves on is not stuck; asks nothing else."""
        if self._health.watchdog.is_stuck():
            return fit_answer(False, {"status": "stuck", **self._identity})
        uptime = round(time.monotonic() - self._started_at, 1)
        return Answer(200, {"status": "alive", **self._identity, "uptime_seconds": uptime})

    def started(self, request: ProbeRequest) -> Answer:
        """`/started`: every check has run once, or is over its deadline."""
        self._registry.catch_up()
        if self._registry.started:
            return fit_answer(True, {"status": "started", **self._identity})
        waiting = [m.check.name for m in self._monitors() if m.reading.state == UNKNOWN]
        return fit_answer(False, {"status": "starting", **self._identity, "waiting": waiting})

    def ready(self, request: ProbeRequest) -> Answer:
        """`/ready`: started, not draining, and no critical check fails for this process alone."""
        return self._health.readiness.answer()

    def _monitors(self) -> Iterator[Monitor]:
        return iter(self._registry.monitors.values())

    def _chosen(self, wish: Wish) -> Iterator[Monitor]:
        if wish.group is not None:
            groups = {group for m in self._monitors() for group in m.check.groups}
            if wish.group not in groups:
                raise unknown_check(wish.group, sorted(groups))
        for monitor in self._monitors():
            in_group = wish.group is None or wish.group in monitor.check.groups
            if in_group and monitor.check.name not in wish.excluded:
                yield monitor

    def _view(self, request: ProbeRequest, wish: Wish) -> dict[str, bool]:
        database = self._registry.monitors["database"].reading
        # A session is looked up in the host's database: not while that is in doubt.
        ask = wish.verbose and database.state != UNHEALTHY and not database.hangs
        context = self._context
        detail = caller.is_admin(context.app, context.guard, request.environ, ask_session=ask)
        return {"verbose": wish.verbose, "detail": detail}

    def _situation(self, wish: Wish) -> dict[str, Any]:
        unknown = sorted(wish.excluded - set(self._registry.monitors))
        situation: dict[str, Any] = {
            "instance": self._context.identity.instance,
            "started": self._registry.started,
            "drain": str(self._health.drain_state.process),
            "excluded": sorted(wish.excluded - set(unknown)),
        }
        if unknown:
            situation["warnings"] = [f"cannot exclude {name[:40]!r}: unknown" for name in unknown]
        return situation


def wish_of(request: ProbeRequest) -> Wish:
    """Read `?verbose`, `?exclude=name` (repeated, or a list with commas), `?group=`, `Accept`."""
    ietf = wants(request.header("Accept"), HEALTH_JSON)
    query = request.environ.get("QUERY_STRING")
    if not query:
        return Wish(ietf=ietf)
    pairs = parse_qsl(query, keep_blank_values=True)
    last = dict(pairs)
    names = [name for key, value in pairs if key == "exclude" for name in value.split(",")]
    return Wish(
        verbose=last.get("verbose", "0").lower() not in ("0", "false", "no"),
        excluded=frozenset(name.strip() for name in names if name.strip()),
        group=last.get("group") or None,
        ietf=ietf,
    )


def unknown_check(name: str, known: list[str]) -> NotFound:
    """The error of a path or group that names nothing."""
    return NotFound(f"No health check {name[:40]!r}; there are {', '.join(known)}.")
