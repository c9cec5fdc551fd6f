"""Is the new colour fit for traffic? One look at both colours in, a judgement out. Pure.

The method, with its sources, is told in docs/concepts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mina_ops.operator.release.model import (
    Figures,
    Finding,
    Judgement,
    Response,
    Streak,
    Triggers,
    Verdict,
)
from mina_ops.operator.release.statistics import (
    has_grown,
    quantile,
    surely_above,
    surely_longer,
)

_Look = Callable[[Figures, Figures, Triggers, Streak], Finding]
# An age is rounded, and two looks at one result take a moment each.
_SAME_CHECK_SECONDS = 0.5


def judge(
    new: Figures,
    old: Figures,
    triggers: Triggers | None = None,
    streaks: Mapping[str, Streak] | None = None,
) -> Judgement:
    """What one look at both colours says.

    Args:
        new: the colour that is being released, over the window since its share last changed.
        old: the other colour over the same window.
        triggers: limits; default: the playbook's.
        streaks: `Judgement.streaks` of the look before, {} at the start of a step.
    """
    rules = triggers or Triggers()
    before = streaks or {}
    if new.fault or new.stale:
        return _unreadable(new, before, rules)
    return Judgement(
        tuple(look(new, old, rules, before.get(name, Streak())) for name, look in _TRIGGERS.items())
    )


def _over_windows(look: _Look) -> _Look:
    """The finding over the longest window; over a shorter one where only that one fails."""

    def looked(new: Figures, old: Figures, rules: Triggers, seen: Streak) -> Finding:
        finding = look(new, old, rules, seen)
        for shorter in zip(new.recent, old.recent, strict=False):
            if finding.verdict is Verdict.FAIL:
                break
            found = look(*shorter, rules, seen)
            finding = found if found.verdict is Verdict.FAIL else finding
        return finding

    return looked


def _unreadable(new: Figures, before: Mapping[str, Streak], rules: Triggers) -> Judgement:
    name, seen = "figures", Streak(before.get("figures", Streak()).times + 1)
    if new.fault and seen.times >= rules.streak:
        reason = f"the new colour does not answer: {new.fault}"
        return Judgement((Finding(name, Verdict.ERROR, Response.INSTANT, reason, seen),))
    reason = f"nothing to judge by: {new.fault or 'its figures are stale'}"
    return Judgement((Finding(name, Verdict.ERROR, Response.NONE, reason, seen),))


def _errors(new: Figures, old: Figures, rules: Triggers, _: Streak) -> Finding:
    limit = rules.error_percent / 100
    return _rate(
        "error_rate",
        "requests failed",
        (new.errors, new.requests),
        (old.errors, old.requests),
        limit,
        rules,
        Response.INSTANT,
    )


def _websockets(new: Figures, old: Figures, rules: Triggers, _: Streak) -> Finding:
    limit = 1 - rules.websocket_percent / 100
    return _rate(
        "websocket_success",
        "WebSocket handshakes failed",
        (new.websocket_failures, new.websocket_attempts),
        (old.websocket_failures, old.websocket_attempts),
        limit,
        rules,
        Response.GRADUAL,
    )


def _rate(
    name: str,
    what: str,
    new: tuple[int, int],
    old: tuple[int, int],
    limit: float,
    rules: Triggers,
    response: Response,
) -> Finding:
    events, trials = new
    if trials < rules.least_samples:
        reason = f"{trials} samples, {rules.least_samples} are needed"
        return Finding(name, Verdict.NO_DATA, Response.NONE, reason)
    shown = f"{events} of {trials} {what} ({100 * events / trials:.2f} %)"
    if not _exceeds(events, trials, limit, rules):
        return Finding(name, Verdict.PASS, Response.NONE, shown)
    reason = f"{shown}, the limit is {100 * limit:g} %"
    if _exceeds(*old, limit, rules):
        reason += "; the other colour shows it too"
        return Finding(name, Verdict.FAIL, Response.HOLD, reason)
    return Finding(name, Verdict.FAIL, response, reason)


def _exceeds(events: int, trials: int, limit: float, rules: Triggers) -> bool:
    """The rate is above its limit, and surely above what would be tolerated."""
    over = events > limit * trials
    return over and surely_above(events, trials, limit * rules.tolerated)


def _latency(new: Figures, old: Figures, rules: Triggers, _: Streak) -> Finding:
    name, q = "p95", 0.95
    slow, fast = quantile(new.histogram, q), quantile(old.histogram, q)
    if slow.value is None or fast.value is None or slow.high is None or fast.high is None:
        reason = f"{slow.samples} and {fast.samples} samples are too few to compare P95"
        return Finding(name, Verdict.NO_DATA, Response.NONE, reason)
    shown = f"P95 {_ms(slow.value)} against {_ms(fast.value)}"
    limits = rules.p95_increase_percent, rules.p95_increase_ms
    if has_grown(slow.value, fast.value, *limits) and surely_longer(slow, fast):
        more = 100 * (slow.value / fast.value - 1)
        reason = f"{shown} (+{more:.0f} %), the limit is +{rules.p95_increase_percent:g} %"
        return Finding(name, Verdict.FAIL, Response.GRADUAL, reason)
    return Finding(name, Verdict.PASS, Response.NONE, shown)


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def _database_latency(new: Figures, old: Figures, rules: Triggers, seen: Streak) -> Finding:
    name = "database_latency"
    if new.database == "disabled":
        return Finding(name, Verdict.PASS, Response.NONE, "no database is used")
    if new.database_ms is None:
        return Finding(name, Verdict.NO_DATA, Response.NONE, "no query was timed yet")
    shown = f"the database answers in {_ms(new.database_ms)}"
    if new.database_ms <= rules.database_ms:
        return Finding(name, Verdict.PASS, Response.NONE, shown)
    both = old.database_ms is not None and old.database_ms > rules.database_ms
    reason = f"{shown}, the limit is {rules.database_ms:g} ms"
    seen = Streak(seen.times + _is_news(new.database_at, seen.at), new.database_at)
    return _after_streak(name, reason, both, seen, rules, Response.GRADUAL)


def _is_news(at: float | None, before: float | None) -> bool:
    """Whether it was measured since the last look; a check's result is shown for some seconds."""
    return at is None or before is None or at - before > _SAME_CHECK_SECONDS


def _database(new: Figures, old: Figures, rules: Triggers, seen: Streak) -> Finding:
    return _state("database", new.database, old.database, rules, seen)


def _ai(new: Figures, old: Figures, rules: Triggers, seen: Streak) -> Finding:
    return _state("ai_service", new.ai, old.ai, rules, seen)


def _state(name: str, new: str | None, old: str | None, rules: Triggers, seen: Streak) -> Finding:
    if new is None:
        return Finding(name, Verdict.NO_DATA, Response.NONE, f"{name} has no state yet")
    if new in ("healthy", "disabled"):
        return Finding(name, Verdict.PASS, Response.NONE, f"{name} is {new}")
    both = old is not None and old not in ("healthy", "disabled")
    seen = Streak(seen.times + 1)
    return _after_streak(name, f"{name} is {new}", both, seen, rules, Response.INSTANT)


def _after_streak(
    name: str, reason: str, both: bool, seen: Streak, rules: Triggers, response: Response
) -> Finding:
    if seen.times < rules.streak:
        waiting = f"{reason}, seen {seen.times} of {rules.streak} times"
        return Finding(name, Verdict.NO_DATA, Response.NONE, waiting, seen)
    if both:
        shared = f"{reason}; the other colour shows it too"
        return Finding(name, Verdict.FAIL, Response.HOLD, shared, seen)
    return Finding(name, Verdict.FAIL, response, reason, seen)


_TRIGGERS: Mapping[str, _Look] = {
    "error_rate": _over_windows(_errors),
    "database": _database,
    "ai_service": _ai,
    "p95": _over_windows(_latency),
    "database_latency": _database_latency,
    "websocket_success": _over_windows(_websockets),
}
