"""The verdict on P95: requests of the new colour against those of the old one. Pure.

Both questions are answered by counting the new colour's requests above a value of the old one's:
the count has a known distribution, whatever latencies look like (see `exceedances_tail`).
"""

from __future__ import annotations

from mina_ops.operator.release.verdicts.model import (
    Figures,
    Finding,
    Look,
    Response,
    Triggers,
    Verdict,
)
from mina_ops.operator.release.verdicts.statistics import (
    FAIL_CHANCE,
    PASS_CHANCE,
    above,
    exceedances_head,
    exceedances_tail,
    quantile,
    samples,
)

SHORTEST_SECONDS = 30.0
"""Below this a pause of a second, which garbage or a backup may cause, is 5 % of the window."""

TO_COMPARE = 100
"""Requests that the old colour needs for a comparison; its P95 is then known well enough."""

TO_PASS = 45
"""Requests that the new colour needs at least for a pass: 0.95 ** 45 < `PASS_CHANCE`."""

AN_HOUR = 3600.0
"""Within an hour a site may become twice as slow without any fault, as in the morning."""

_Q = 0.95
# Durations must surely be longer by so much of the limit, so that a release which is 20 % slower
# is not taken back because a few hundred requests happen to look 50 % slower.
_SURE_SHARE = 0.5
# Durations are compared all along the upper half: a release that is three times as slow shows
# it at the median with a handful of requests, a slow tail shows at the end alone.
_COMPARED = (0.5, 0.75, 0.9, 0.95, 0.98)


def p95(look: Look) -> Finding:
    """P95 of the new colour against that of the old one over the same window."""
    pairs = [(look.new, look.old), *zip(look.new.recent, look.old.recent, strict=False)]
    for new, old in pairs:
        if new.seconds >= SHORTEST_SECONDS or not new.seconds:
            failed = _fail(new, old, look.rules)
            if failed is not None:
                return failed
    return _pass(look.new, look.old, look.rules)


def _fail(new: Figures, old: Figures, rules: Triggers) -> Finding | None:
    slow, fast = quantile(new.histogram, _Q), quantile(old.histogram, _Q)
    if slow is None or fast is None or samples(old.histogram) < TO_COMPARE:
        return None
    limit = _limit(fast, rules) * _drift(old)
    if slow <= limit or not _is_surely_slower(new, old, limit, rules):
        return None
    reason = (
        f"P95 {_ms(slow)} against {_ms(fast)} (+{100 * (slow / fast - 1):.0f} %), the limit is "
        f"+{rules.p95_increase_percent:g} %"
    )
    if old.age_seconds:
        reason = (
            f"P95 {_ms(slow)} against {_ms(fast)} {old.age_seconds / 60:.0f} min before "
            f"(+{100 * (slow / fast - 1):.0f} %), the limit is +{100 * (limit / fast - 1):.0f} %"
        )
    return Finding("p95", Verdict.FAIL, Response.GRADUAL, reason)


def _drift(old: Figures) -> float:
    """By how much the time of day alone may have slowed the site down since `old` was measured.

    Once the old colour has no traffic, nothing tells a slow release from a site that is slow now.
    """
    return 1 + min(1.0, old.age_seconds / AN_HOUR)


def _is_surely_slower(new: Figures, old: Figures, limit: float, rules: Triggers) -> bool:
    """Whether the new colour is slower by half of the limit at least, wherever it shows best."""
    tolerated = (1 + _SURE_SHARE * rules.p95_increase_percent / 100) * _drift(old)
    trials, others = samples(new.histogram), samples(old.histogram)
    bounds = [bound for q in _COMPARED if (bound := quantile(old.histogram, q)) is not None]
    return any(
        exceedances_tail(
            above(new.histogram, tolerated * bound), trials, above(old.histogram, bound), others
        )
        < FAIL_CHANCE
        for bound in (*bounds, limit / tolerated)
    )


def _pass(new: Figures, old: Figures, rules: Triggers) -> Finding:
    trials, others = samples(new.histogram), samples(old.histogram)
    slow, fast = quantile(new.histogram, _Q), quantile(old.histogram, _Q)
    if slow is None or fast is None or trials < TO_PASS or others < TO_COMPARE:
        few = f"{trials} and {others} requests, {TO_PASS} and {TO_COMPARE} are the least for P95"
        return Finding("p95", Verdict.NO_DATA, Response.NONE, few)
    shown = f"P95 {_ms(slow)} against {_ms(fast)}"
    late = above(new.histogram, _limit(fast, rules) * _drift(old) * (1 - 1e-9))
    beyond = int(others * (1 - _Q))
    if exceedances_head(late, trials, beyond, others) < PASS_CHANCE:
        return Finding("p95", Verdict.PASS, Response.NONE, shown)
    reason = f"{shown}; {trials} requests do not show yet that it is below its limit"
    return Finding("p95", Verdict.NO_DATA, Response.NONE, reason)


def _limit(fast: float, rules: Triggers) -> float:
    return fast + max(fast * rules.p95_increase_percent / 100, rules.p95_increase_ms)


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"
