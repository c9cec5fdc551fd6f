"""What triggers will need at a site's present traffic, told in numbers before a release starts."""

from __future__ import annotations

import math

from mina_ops.operator.release.plan import Plan
from mina_ops.operator.release.verdicts.latency import TO_PASS
from mina_ops.operator.release.verdicts.model import Figures
from mina_ops.operator.release.verdicts.statistics import trials_to_pass


def lines(plan: Plan, before: Figures) -> list[str]:
    """A line for each trigger that will not have its samples when the first share's time is over.

    Args:
        before: the old colour's figures, whose traffic is what the site has.
    """
    share = next((one for one in plan.shares() if one > 0), 100)
    if not before.seconds or plan.no_data == "continue":
        return []
    found = []
    for what, seen, needed in _needs(plan, before):
        per_second = seen / before.seconds * share / 100
        if per_second * plan.step_seconds < needed:
            found.append(_line(plan, share, (what, needed, per_second)))
    return found


def _needs(plan: Plan, before: Figures) -> list[tuple[str, int, int]]:
    rules, shaken = plan.triggers, before.handshakes
    needs = [
        ("requests (error rate)", before.requests, trials_to_pass(0, rules.error_percent / 100)),
        ("requests (P95)", before.requests, TO_PASS),
    ]
    attempts = shaken.accepted + shaken.failed
    if attempts:
        needed = trials_to_pass(0, 1 - rules.websocket_percent / 100)
        needs.append(("WebSocket handshakes", attempts, needed))
    for trigger in rules.outcomes:
        tried = before.outcomes[trigger.outcome].tried if trigger.outcome in before.outcomes else 0
        if tried:
            needed = trials_to_pass(0, 1 - trigger.least_percent / 100)
            needs.append((f"attempts at {trigger.outcome}", tried, needed))
    return needs


def _line(plan: Plan, share: int, need: tuple[str, int, float]) -> str:
    what, needed, per_second = need
    gets = per_second * plan.step_seconds
    said = (
        f"{needed} {what} are needed for a pass; {share} % of the present traffic gives "
        f"{gets:.0f} in {plan.step_seconds:g} s"
    )
    if not per_second:
        return f"{said}. `no_data` says what happens then ({plan.no_data})."
    seconds = math.ceil(needed / per_second / 60) * 60
    bigger = math.ceil(share * needed / gets)
    choices = [f"step_seconds = {seconds}"]
    if bigger <= 100:
        choices.append(f"steps that begin with {bigger}")
    late = seconds > plan.step_seconds + plan.patience_seconds
    waits = f"then {plan.no_data}" if late else f"so the step takes about {seconds} s"
    return f"{said}, {waits}. What would do: {', or '.join(choices)}."
