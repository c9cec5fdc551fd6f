"""Socket.IO events that tell outcomes, by the rules of a setting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mina_ops.app.metrics.outcome_rules import OutcomeRules
from mina_ops.app.socketio_adapter import Call, wrap_emit, wrap_trigger


def watch(server: Any, rules: OutcomeRules, tell: Callable[[str, bool], None]) -> None:
    """Call `tell(outcome, succeeded)` for what a server handles and emits, as the rules say.

    What another process emits over the message queue is told there.
    """
    if rules.handled:
        wrap_trigger(server, lambda trigger: _handling(server, trigger, rules, tell))
    if rules.emitted:
        wrap_emit(server, lambda emit: _emitting(emit, rules, tell))


def _handling(
    server: Any, trigger: Call, rules: OutcomeRules, tell: Callable[[str, bool], None]
) -> Call:
    def triggered(event: str, namespace: str, *arguments: Any) -> Any:
        outcome = rules.handled.get(event)
        if outcome is None:
            return trigger(event, namespace, *arguments)
        try:
            result = trigger(event, namespace, *arguments)
        except Exception:
            tell(outcome, False)
            raise
        if result is not getattr(server, "not_handled", ...):
            tell(outcome, True)
        return result

    return triggered


def _emitting(emit: Call, rules: OutcomeRules, tell: Callable[[str, bool], None]) -> Call:
    def emitted(event: str, *arguments: Any, **options: Any) -> Any:
        result = emit(event, *arguments, **options)
        told = rules.emitted.get(event)
        if told is not None:
            tell(*told)
        return result

    return emitted
