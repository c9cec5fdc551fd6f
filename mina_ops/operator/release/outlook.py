"""Says before a release which triggers will lack samples at the site's present traffic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mina_ops.operator.release.plan import Plan
from mina_ops.operator.release.verdicts.figures import of_reads
from mina_ops.operator.release.verdicts.latency import TO_PASS
from mina_ops.operator.release.verdicts.model import Figures, Tally
from mina_ops.operator.release.verdicts.statistics import samples, trials_to_pass

# With this many requests the last minute shows the present traffic; else a longer window does.
_ENOUGH = 30


@dataclass(frozen=True)
class Need:
    """How many of what a pass needs, how many came before, and which load would bring more.

    `load` is a key of `[release.load]` and what it gives each colour in a second now; None: no
    load that a release can make itself.
    """

    what: str
    seen: Callable[[Figures], int]
    needed: int
    load: tuple[str, float] | None = None


def lines(plan: Plan, before: Figures, lately: Figures | None = None) -> list[str]:
    """A line for each trigger that will not have its samples when the first share's time is over.

    Args:
        before: the old colour's figures, whose traffic is what the site has.
        lately: the same over the last minute.
    """
    share = next((one for one in plan.shares() if one > 0), 100)
    if not before.seconds or not plan.step_seconds or plan.no_data == "continue":
        return []
    found = list(_of_copies(plan, of_reads(before)))
    for need in _needs(plan, before):
        per_second = _rate(need, before, lately) * share / 100 + (need.load or ("", 0.0))[1]
        if per_second * plan.step_seconds < need.needed:
            found.append(_line(plan, share, need, per_second))
    return found


def _of_copies(plan: Plan, reads: Figures) -> Iterator[str]:
    """A line if the present GETs are too few for the phase `shadow`."""
    needed = max(TO_PASS, trials_to_pass(0, plan.triggers.error_percent / 100))
    present = samples(reads.histogram) / reads.seconds * plan.shadow_percent / 100
    gets = (present + plan.load.per_second) * plan.shadow_seconds
    if plan.shadow_seconds and gets < needed:
        yield (
            f"{needed} GETs are needed for a pass of shadow; {plan.shadow_percent} % of the "
            f"present ones give {gets:.0f} in {plan.shadow_seconds:g} s, then it waits. What would "
            "do: a longer shadow_seconds, or [release.load] per_second = "
            f"{math.ceil(100 * needed / plan.shadow_seconds) / 100:g}."
        )


def _rate(need: Need, before: Figures, lately: Figures | None) -> float:
    counted = lately if lately and lately.seconds and need.seen(lately) >= _ENOUGH else before
    return need.seen(counted) / counted.seconds


def _needs(plan: Plan, before: Figures) -> Iterator[Need]:
    rules, load = plan.triggers, plan.load
    requests = ("per_second", load.per_second)
    least = trials_to_pass(0, rules.error_percent / 100)
    yield Need("requests (error rate)", lambda f: f.requests, least, requests)
    yield Need("requests (P95)", lambda f: f.requests, TO_PASS, requests)
    if _handshakes(before):
        least = trials_to_pass(0, 1 - rules.websocket_percent / 100)
        sent = load.handshakes_per_second if load.per_second else 0.0
        yield Need("WebSocket handshakes", _handshakes, least, ("handshakes_per_second", sent))
    for trigger in rules.outcomes:
        name = trigger.outcome
        if before.outcomes.get(name, Tally()).tried:
            least = trials_to_pass(0, 1 - trigger.least_percent / 100)
            yield Need(f"attempts at {name}", _attempts(name), least)


def _handshakes(figures: Figures) -> int:
    return figures.handshakes.accepted + figures.handshakes.failed


def _attempts(name: str) -> Callable[[Figures], int]:
    return lambda figures: figures.outcomes.get(name, Tally()).tried


def _line(plan: Plan, share: int, need: Need, per_second: float) -> str:
    gets = per_second * plan.step_seconds
    said = (
        f"{need.needed} {need.what} are needed for a pass; {share} % of the present traffic"
        f"{' and the load' if plan.load.per_second and need.load else ''} gives {gets:.0f} in "
        f"{plan.step_seconds:g} s"
    )
    choices = list(_choices(plan, share, need, per_second))
    if not per_second:
        then = f"`no_data` says what happens then ({plan.no_data})."
        return f"{said}. {then}" + (f" What would do: {choices[0]}." if choices else "")
    seconds = math.ceil(need.needed / per_second / 60) * 60
    late = seconds > plan.step_seconds + plan.patience_seconds
    waits = f"then {plan.no_data}" if late else f"so the step takes about {seconds} s"
    would_do = ", or ".join([f"step_seconds = {seconds}", *choices])
    return f"{said}, {waits}. What would do: {would_do}."


def _choices(plan: Plan, share: int, need: Need, per_second: float) -> Iterator[str]:
    sent = (need.load or ("", 0.0))[1]
    visitors, wanted = per_second - sent, need.needed / plan.step_seconds
    bigger = share * (wanted - sent) / visitors if visitors else 101
    if bigger <= 100:
        yield f"steps that begin with {math.ceil(bigger)}"
    if need.load is not None:
        missing = math.ceil(round((wanted - visitors) * 100, 6)) / 100
        yield f"[release.load] {need.load[0]} = {missing:g}"
