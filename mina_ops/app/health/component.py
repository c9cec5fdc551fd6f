"""The health of one app: its checks, run beside requests, and whether it should get traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.database.connection import IDLE_SECONDS
from mina_ops.app.health.builtin import BuiltIn
from mina_ops.app.health.crowd import Crowd
from mina_ops.app.health.model import READY, Check, Found, Rule
from mina_ops.app.health.readiness import Readiness
from mina_ops.app.health.registry import Registry
from mina_ops.app.health.watchdog import Watchdog
from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.metrics.outcomes import OutcomeEvents
from mina_ops.app.settings import Settings
from mina_ops.app.siblings import Siblings
from mina_ops.app.socketio_binding import SocketIOBinding
from mina_ops.app.state.drain_state import DrainState
from mina_ops.errors import ConfigurationError

AI_OUTCOME = "ai_insights"
_LAST_BEAT_SECONDS = 1.0


class Health(Component):
    """Runs the checks beside requests; `HealthRoutes` answers from their last results.

    Args:
        binding: finds the app's Socket.IO server.
        drain_state: a process that drains is not ready.
        outcomes: `ai_insights` says how the host's AI service does.
        siblings: the other workers on this port, told whether this one is ready.
    """

    name = "health"

    def __init__(
        self,
        context: Context,
        binding: SocketIOBinding,
        drain_state: DrainState,
        outcomes: OutcomeEvents,
        siblings: Siblings,
    ) -> None:
        settings = context.settings
        self.crowd = Crowd(context)
        self.registry = Registry(
            _rule(settings),
            soft=frozenset(settings.soft_checks),
            disabled=frozenset(settings.disabled_checks),
            vouchers=self.crowd.vouchers,
            permits=self.crowd.permit,
        )
        self.readiness = Readiness(context, self.registry, drain_state, siblings)
        self.drain_state = drain_state
        self._siblings = siblings
        self.watchdog = Watchdog(context.app.logger.name)
        self._app = context.app
        self._loop = Heartbeat(settings.beat_seconds, context.clock)
        self._loop.every_beat("health checks", self._look)
        self._database = context.database
        self._built_in = BuiltIn(context, binding)
        for check in self._built_in.checks():
            self.registry.add(check)
        outcomes.listen(self._note_outcome)

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

    def at_start(self) -> None:
        for check in self._built_in.late():
            if self.registry.monitors[check.name].check.run is None and check.run is not None:
                self.registry.replace(check)
        self._siblings.at_start()
        self.crowd.at_start()
        self._rest()
        self.registry.begin()
        self.watchdog.start()
        # A loop of its own: whatever hangs in the store, or in the name of its host, never
        # delays a check.
        self._loop.start()

    def close(self) -> None:
        """End the loop of the checks, and the thread that feels whether this process is stuck."""
        self.watchdog.stop()
        self._loop.stop(wait_seconds=_LAST_BEAT_SECONDS)
        self._siblings.close()

    def _look(self, now: float) -> None:
        self.registry.settle()
        self.registry.run_due()
        self._siblings.beat(is_ready=self.readiness.is_fit())
        self.crowd.beat()
        self._rest()

    def _rest(self) -> None:
        # Three hundred processes that each keep a connection between two questions are more than a
        # PostgreSQL takes as it comes (100): the rest would never be ready, and nor would the
        # host's own requests get one.
        self._database.rest(IDLE_SECONDS if self.crowd.is_small() else 0.0)

    def report(self) -> dict[str, Any]:
        return {"failing": list(self.registry.failing()), "started": self.registry.started}

    def merge(self, reports: Sequence[Any]) -> dict[str, Any]:
        failing = Counter(name for report in reports for name in report["failing"])
        return {"failing": failing, "started": sum(report["started"] for report in reports)}

    def _note_outcome(self, name: str, succeeded: bool) -> None:
        if name == AI_OUTCOME:
            self._built_in.openai_calls.note(succeeded)


def _rule(settings: Settings) -> Rule:
    if settings.health_needed > settings.health_window:
        raise ConfigurationError(
            f"MINA_OPS_HEALTH_NEEDED ({settings.health_needed}) is above MINA_OPS_HEALTH_WINDOW "
            f"({settings.health_window}): no state could ever turn."
        )
    return Rule(needed=settings.health_needed, window=settings.health_window)
