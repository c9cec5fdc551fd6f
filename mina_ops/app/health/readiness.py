"""Should this process get traffic?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mina_ops.app.context import Context
from mina_ops.app.health.fleet import failed_by_all
from mina_ops.app.health.registry import Registry
from mina_ops.app.health.report import fit_answer
from mina_ops.app.state.drain_state import DrainState, State
from mina_ops.app.web.answers import Answer

_MOST_ANSWERS = 64
_FIT = 200
_WHY_TOLERATED = ("fails for every process", "fails, which alone makes no process unready")


class Readiness:
    """Answers `/ready` from states in memory; the same situation gets the same, ready answer."""

    def __init__(self, context: Context, registry: Registry, drain_state: DrainState) -> None:
        self._identity = context.identity
        self._store = context.store
        self._presence = context.presence
        self._registry = registry
        self._drain_state = drain_state
        self._answers: dict[object, Answer] = {}

    def answer(self) -> Answer:
        """200 if it started, does not drain, and no critical check fails for it alone."""
        # Not left to the next beat: a process whose checks are done would turn handshakes away.
        self._registry.catch_up()
        failing = self._registry.failing()
        tolerated = self._tolerated(failing) if failing else ()
        key = (self._registry.started, self._drain_state.process, failing, tolerated)
        known = self._answers.get(key)
        if known is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            known = self._answers[key] = self._make(*key)
        return known

    def admit(self, environ: Mapping[str, Any]) -> tuple[str, Answer] | None:
        """Turn a handshake away that the load balancer may send elsewhere, where this is unready.

        It says so in `X-Mina-Only-If-Ready`; a colour that has all visitors keeps them, since
        there is nobody else to take them.
        """
        if "HTTP_X_MINA_ONLY_IF_READY" not in environ:
            return None
        answer = self.answer()
        return None if answer.status == _FIT else ("unready", answer)

    def _make(
        self, started: bool, drain: State, failing: tuple[str, ...], tolerated: tuple[str, ...]
    ) -> Answer:
        reasons = [] if started else ["starting"]
        reasons += [] if drain is State.SERVING else [str(drain)]
        reasons += [name for name in failing if name not in tolerated]
        body: dict[str, Any] = {
            "status": "not_ready" if reasons else "ready",
            "version": self._identity.version,
            "environment": self._identity.environment,
        }
        if reasons:
            body["reasons"] = reasons
        if tolerated:
            body["warnings"] = [f"{name} {_WHY_TOLERATED[name == 'redis']}" for name in tolerated]
        full = fit_answer(not reasons, body)
        return Answer(full.status, full.data(), full.headers)

    def _tolerated(self, failing: tuple[str, ...]) -> tuple[str, ...]:
        """Failing checks that do not make us unready, since all others fail them too.

        Without Redis nobody hears how others do, and we serve without it: it takes no one out.
        """
        if not self._store.shared:
            return ()
        shared = {m.check.name for m in self._registry.monitors.values() if m.check.shared}
        summaries = [self._presence.summary(colour) for colour in self._identity.colours]
        common = failed_by_all(failing, shared, summaries)
        return tuple(name for name in failing if name in common or name == "redis")
