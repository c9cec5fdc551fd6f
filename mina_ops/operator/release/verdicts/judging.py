"""One look at both colours in, a judgement out. Pure.

The method, with its sources, is told in docs/concepts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mina_ops.operator.release.verdicts import latency, rates, states
from mina_ops.operator.release.verdicts.model import (
    Figures,
    Finding,
    Judgement,
    Look,
    OutcomeTrigger,
    Response,
    Streak,
    Triggers,
    Verdict,
)

NEEDS_SOCKETS = ("websocket_success",)
"""Triggers that have no figures where nobody connects by Socket.IO."""

_Trigger = Callable[[Look], Finding]


def judge(
    new: Figures,
    old: Figures,
    triggers: Triggers | None = None,
    streaks: Mapping[str, Streak] | None = None,
    before: Figures | None = None,
) -> Judgement:
    """What one look at both colours says.

    Args:
        new: the colour that is being released, over the window since its share last changed.
        old: the other colour over the same window.
        triggers: limits; default: the playbook's.
        streaks: `Judgement.streaks` of the look before, {} at the start of a step.
        before: the old colour before the release, where that is known.
    """
    rules = triggers or Triggers()
    seen = streaks or {}
    if new.fault or new.stale:
        return _unreadable(new, seen, rules)
    usual = before or Figures()
    return Judgement(
        tuple(
            verdict(Look(new, old, usual, rules, seen.get(name, Streak())))
            for name, verdict in _all(rules).items()
        )
    )


def _all(rules: Triggers) -> Mapping[str, _Trigger]:
    further: dict[str, _Trigger] = {one.name: _outcome(one) for one in rules.outcomes}
    further |= {one.name: states.number_of(one) for one in rules.numbers}
    return {**_BUILT_IN, **further}


def _outcome(trigger: OutcomeTrigger) -> _Trigger:
    return lambda look: rates.outcome(look, trigger)


def _unreadable(new: Figures, before: Mapping[str, Streak], rules: Triggers) -> Judgement:
    name, seen = "figures", Streak(before.get("figures", Streak()).times + 1)
    if new.fault and seen.times >= rules.streak:
        reason = f"the new colour does not answer: {new.fault}"
        return Judgement((Finding(name, Verdict.ERROR, Response.INSTANT, reason, seen),))
    reason = f"nothing to judge by: {new.fault or 'its figures are stale'}"
    return Judgement((Finding(name, Verdict.ERROR, Response.NONE, reason, seen),))


_BUILT_IN: Mapping[str, _Trigger] = {
    "error_rate": rates.errors,
    "database": states.database,
    "ai_service": states.ai_service,
    "p95": latency.p95,
    "database_latency": states.database_latency,
    "websocket_success": rates.websockets,
}
