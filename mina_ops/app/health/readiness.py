"""Decides whether this process should get traffic, for `/api/health/ready` and handshakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mina_ops.app.context import Context
from mina_ops.app.health.fleet import failed_by_all
from mina_ops.app.health.registry import Registry
from mina_ops.app.health.report import fit_answer
from mina_ops.app.siblings import Siblings
from mina_ops.app.state.drain_state import DrainState, State
from mina_ops.app.web.answers import Answer

_MOST_ANSWERS = 64
_FIT = 200
_WHY_TOLERATED = ("fails for every process", "fails, which alone makes no process unready")
_VOUCHED = "this process is {0}, and another one that answers on this port is ready"
_REPLACED = "this process is {0}, since its server is about to put another in its place"


class _Situation(NamedTuple):
    """All that an answer depends on. A tuple, since each probe makes one and looks it up.

    `alone` holds what keeps this process from being ready unless its port has a better one;
    `reasons` what keeps it from being ready in any case.
    """

    alone: tuple[str, ...]
    reasons: tuple[str, ...]
    tolerated: tuple[str, ...]
    is_replaced: bool
    is_sibling_ready: bool


class Readiness:
    """Answers `/ready` from states in memory; the same situation gets the same, ready answer.

    The port that a process serves is asked, so where other workers serve it too, one that starts
    or ends by itself does not speak for it.
    """

    def __init__(
        self,
        context: Context,
        registry: Registry,
        drain_state: DrainState,
        siblings: Siblings,
    ) -> None:
        self._identity = context.identity
        self._store = context.store
        self._presence = context.presence
        self._registry = registry
        self._drain_state = drain_state
        self._siblings = siblings
        self._answers: dict[object, Answer] = {}

    def answer(self) -> Answer:
        """200 if it started, does not drain, and no critical check fails for it alone."""
        # Not left to the next beat: a process whose checks are done would turn handshakes away.
        self._registry.catch_up()
        situation = self._situation()
        known = self._answers.get(situation)
        if known is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            known = self._answers[situation] = self._make(situation)
        return known

    def is_fit(self) -> bool:
        """Whether this process itself is ready, whatever others on its port are."""
        situation = self._situation()
        return not situation.alone and not situation.reasons

    def admit(self, environ: Mapping[str, Any]) -> tuple[str, Answer] | None:
        """Turn a handshake away that the load balancer may send elsewhere, where this is unready.

        It says so in `X-Mina-Only-If-Ready`; a colour that has all visitors keeps them, since
        there is nobody else to take them.
        """
        if "HTTP_X_MINA_ONLY_IF_READY" not in environ:
            return None
        answer = self.answer()
        return None if answer.status == _FIT else ("unready", answer)

    def _situation(self) -> _Situation:
        failing, drain = self._registry.failing(), self._drain_state
        tolerated = self._tolerated(failing) if failing else ()
        alone = () if self._registry.started else ("starting",)
        reasons = tuple(name for name in failing if name not in tolerated) if failing else ()
        if drain.process is not State.SERVING:
            if drain.is_ordered(self._identity.environment):
                reasons = (str(drain.process), *reasons)
            else:
                alone = (*alone, str(drain.process))
        vouched = self._siblings.is_one_ready
        return _Situation(alone, reasons, tolerated, drain.is_replaced, vouched)

    def _make(self, found: _Situation) -> Answer:
        is_outweighed = found.is_sibling_ready or found.is_replaced
        reasons = [*([] if is_outweighed else found.alone), *found.reasons]
        warnings = [f"{name} {_WHY_TOLERATED[name == 'redis']}" for name in found.tolerated]
        if is_outweighed:
            why = _VOUCHED if found.is_sibling_ready else _REPLACED
            warnings += [why.format(what) for what in found.alone]
        body: dict[str, Any] = {
            "status": "not_ready" if reasons else "ready",
            "version": self._identity.version,
            "environment": self._identity.environment,
        }
        if reasons:
            body["reasons"] = reasons
        if warnings:
            body["warnings"] = warnings
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
