"""Verdicts on states and single numbers, which must stay bad for some looks before they count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mina_ops.operator.release.verdicts.model import (
    Finding,
    Look,
    NumberTrigger,
    Response,
    Streak,
    Verdict,
)

# An age is rounded, and two looks at one result take a moment each.
_SAME_CHECK_SECONDS = 0.5
_FINE = ("healthy", "warning", "uncertain", "disabled")
# The other colour's slow database explains the new one's up to this many times its latency.
_MUCH_WORSE = 2.0


@dataclass(frozen=True)
class Fault:
    """A fault that was seen; `shared`: the other colour shows it too, and is not much better."""

    name: str
    reason: str
    shared: bool
    response: Response


def database(look: Look) -> Finding:
    """The database's health check."""
    return _state("database", look.new.database, look.old.database, look)


def ai_service(look: Look) -> Finding:
    """The AI service's health check."""
    return _state("ai_service", look.new.ai, look.old.ai, look)


def database_latency(look: Look) -> Finding:
    """How long the database check's query takes; one measurement counts once."""
    name, new, old, limit = "database_latency", look.new, look.old, look.rules.database_ms
    if new.database == "disabled":
        return Finding(name, Verdict.PASS, Response.NONE, "no database is used")
    if new.database_ms is None:
        return Finding(name, Verdict.NO_DATA, Response.NONE, "no query was timed yet")
    shown = f"the database answers in {new.database_ms:.3g} ms"
    if new.database_ms <= limit:
        return Finding(name, Verdict.PASS, Response.NONE, shown)
    shared = old.database_ms is not None and (
        old.database_ms > limit and new.database_ms <= _MUCH_WORSE * old.database_ms
    )
    fault = Fault(name, f"{shown}, the limit is {limit:g} ms", shared, Response.GRADUAL)
    at = new.database_at
    seen = Streak(look.seen.times + _is_news(at, look.seen.at), at)
    return _after_streak(fault, seen, look)


def number(look: Look, trigger: NumberTrigger) -> Finding:
    """Any number against its limits, or against what it was before the release."""
    value = look.new.numbers.get(trigger.name)
    if not isinstance(value, float):
        reason = f"{trigger.name} cannot be read: {value or 'no number'}"
        return Finding(trigger.name, Verdict.ERROR, Response.NONE, reason)
    usual = look.before.numbers.get(trigger.name)
    problem = _problem(trigger, value, usual if isinstance(usual, float) else None)
    if problem is None:
        return Finding(trigger.name, Verdict.PASS, Response.NONE, f"{trigger.name} is {value:g}")
    other = look.old.numbers.get(trigger.name)
    shared = isinstance(other, float) and _problem(trigger, other, None) is not None
    fault = Fault(trigger.name, problem, shared, trigger.response)
    return _after_streak(fault, Streak(look.seen.times + 1), look)


def number_of(trigger: NumberTrigger) -> Callable[[Look], Finding]:
    """The verdict of one such trigger."""
    return lambda look: number(look, trigger)


def _problem(trigger: NumberTrigger, value: float, usual: float | None) -> str | None:
    shown = f"{trigger.name} is {value:g}"
    if trigger.least is not None and value < trigger.least:
        return f"{shown}, the least is {trigger.least:g}"
    if trigger.most is not None and value > trigger.most:
        return f"{shown}, the most is {trigger.most:g}"
    percent = trigger.change_percent
    if (
        percent is not None
        and usual is not None
        and abs(value - usual) > abs(usual) * percent / 100
    ):
        return f"{shown}, before it was {usual:g}; {percent:g} % of change is allowed"
    return None


def _is_news(at: float | None, before: float | None) -> bool:
    """Whether it was measured since the last look; a check's result is shown for some seconds."""
    return at is None or before is None or at - before > _SAME_CHECK_SECONDS


def _state(name: str, new: str | None, old: str | None, look: Look) -> Finding:
    if new is None:
        return Finding(name, Verdict.NO_DATA, Response.NONE, f"{name} has no state yet")
    if new in _FINE:
        return Finding(name, Verdict.PASS, Response.NONE, f"{name} is {new}")
    shared = old is not None and old not in _FINE
    fault = Fault(name, f"{name} is {new}", shared, Response.INSTANT)
    return _after_streak(fault, Streak(look.seen.times + 1), look)


def _after_streak(fault: Fault, seen: Streak, look: Look) -> Finding:
    streak = look.rules.streak
    if seen.times < streak:
        waiting = f"{fault.reason}, seen {seen.times} of {streak} times"
        return Finding(fault.name, Verdict.NO_DATA, Response.NONE, waiting, seen)
    if fault.shared:
        shared = f"{fault.reason}; the other colour shows it too"
        return Finding(fault.name, Verdict.FAIL, Response.HOLD, shared, seen)
    return Finding(fault.name, Verdict.FAIL, fault.response, fault.reason, seen)
