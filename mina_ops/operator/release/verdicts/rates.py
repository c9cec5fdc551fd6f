"""Verdicts on rates: failed requests, failed handshakes, failed outcomes of the host. Pure.

A rate fails when its estimate is above the limit and it is *surely* above what would be
tolerated, so that one error among ten requests is not ten percent. It passes when it is surely
below the limit. Between the two there is no verdict, and the release waits for samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import zip_longest

from mina_ops.operator.release.verdicts.model import (
    Figures,
    Finding,
    Look,
    OutcomeTrigger,
    Response,
    Tally,
    Verdict,
)
from mina_ops.operator.release.verdicts.statistics import (
    SHARED_CHANCE,
    surely_above,
    surely_below,
    tail,
    trials_to_pass,
    upper_bound,
)

# The other colour's fault explains the new one's up to this many times its rate.
_MUCH_WORSE = 1.5

Read = Callable[[Figures], Tally]


@dataclass(frozen=True)
class Rate:
    """What is judged, how it is said, and where its limit is (a share, 0 to 1)."""

    name: str
    what: str
    limit: float
    response: Response


def errors(look: Look) -> Finding:
    """Failed requests: 5xx and exceptions that escaped."""
    rate = Rate("error_rate", "requests failed", look.rules.error_percent / 100, Response.INSTANT)
    return _judge(rate, look, lambda figures: Tally(figures.errors, figures.requests))


def websockets(look: Look) -> Finding:
    """Failed Socket.IO handshakes; what clients did wrong counts only where all of them do it."""
    limit = 1 - look.rules.websocket_percent / 100
    rate = Rate("websocket_success", "WebSocket handshakes failed", limit, Response.GRADUAL)
    nobody = "nobody connects by WebSocket, before or now"
    everywhere = (look.new, look.old, look.before)
    if not any(_attempts(f) for f in everywhere) and look.before.seconds:
        return Finding(rate.name, Verdict.PASS, Response.NONE, nobody)
    found = _judge(rate, replace(look, new=_without_noise(look.new, look.old, limit)), _handshakes)
    is_used = any(f.handshakes.accepted or f.handshakes.failed for f in everywhere)
    if found.verdict is Verdict.NO_DATA and not is_used and look.before.seconds:
        # A few strangers knock at a site without sockets: no reason to wait for more of them.
        return Finding(rate.name, Verdict.PASS, Response.NONE, f"{nobody}, but strangers")
    return found


def _without_noise(new: Figures, old: Figures, limit: float) -> Figures:
    """The new colour's figures without those clients that the old one refuses as well.

    Example: a flood of wrong handshakes comes from three addresses, and reaches both colours. Blue
    lets all others in, so what is wrong is wrong with those three. Where blue lets few in, nothing
    is taken off: then both show a fault, and the release is held.
    """
    pairs = list(zip_longest(new.recent, old.recent, fillvalue=Figures()))[: len(new.recent)]
    recent = tuple(_without_noise(one, other, limit) for one, other in pairs)
    own, others = new.handshakes, old.handshakes.clients
    beside = _handshakes(old)
    if own.clients is not None and others and beside.failed <= limit * beside.tried:
        own = replace(own, clients=max(0, own.clients - others))
    return replace(new, handshakes=own, recent=recent)


def _handshakes(figures: Figures) -> Tally:
    """What the server did wrong counts by try, what a client sent wrong once for each client.

    One outdated client that tries for ever is one failure; a release that speaks a protocol which
    no client knows fails with each of them. Where an older app does not tell clients apart, their
    faults count only where nobody gets in at all.
    """
    shaken = figures.handshakes
    shared = shaken.clients
    if shared is None:
        shared = 0 if shaken.accepted else shaken.refused
    failed = shaken.failed + shared
    return Tally(failed, shaken.accepted + failed)


def outcome(look: Look, trigger: OutcomeTrigger) -> Finding:
    """An outcome that the host records; one that nobody records passes."""
    rate = Rate(
        trigger.name,
        f"attempts at {trigger.outcome} failed",
        1 - trigger.least_percent / 100,
        trigger.response,
    )

    def read(figures: Figures) -> Tally:
        return figures.outcomes.get(trigger.outcome, Tally())

    if not any(read(figures).tried for figures in (look.new, look.old, look.before)):
        reason = f"nothing was recorded of {trigger.outcome}"
        return Finding(trigger.name, Verdict.PASS, Response.NONE, reason)
    return _judge(rate, look, read)


def _attempts(figures: Figures) -> int:
    shaken = figures.handshakes
    return shaken.accepted + shaken.failed + shaken.refused


def _judge(rate: Rate, look: Look, read: Read) -> Finding:
    floor = _floor(rate, look, read)
    for new, old in _windows(look):
        failing = read(new)
        if _exceeds(failing, rate.limit, floor):
            return _fail(rate, failing, read(old))
    return _pass(rate, read(look.new))


def _windows(look: Look) -> list[tuple[Figures, Figures]]:
    pairs = zip_longest(look.new.recent, look.old.recent, fillvalue=Figures())
    return [(look.new, look.old), *pairs]


def _floor(rate: Rate, look: Look, read: Read) -> float:
    """The rate that is tolerated: the limit's, or what the old colour had before the release."""
    return max(rate.limit * look.rules.tolerated, min(rate.limit, read(look.before).rate))


def _exceeds(tally: Tally, limit: float, floor: float) -> bool:
    over = tally.failed > limit * tally.tried
    return over and surely_above(tally.failed, tally.tried, floor)


def _fail(rate: Rate, new: Tally, old: Tally) -> Finding:
    reason = f"{_shown(new, rate.what)}, the limit is {100 * rate.limit:g} %"
    if _is_shared(new, old, rate.limit):
        reason += f"; the other colour shows it too ({100 * old.rate:.2f} %)"
        return Finding(rate.name, Verdict.FAIL, Response.HOLD, reason)
    return Finding(rate.name, Verdict.FAIL, rate.response, reason)


def _is_shared(new: Tally, old: Tally, limit: float) -> bool:
    """Whether the other colour is over the limit too, and this one not clearly worse.

    Blue at 9 % explains 12 % on green, and does not explain 100 %.
    """
    if old.failed <= limit * old.tried or not surely_above(
        old.failed, old.tried, limit / 2, SHARED_CHANCE
    ):
        return False
    explained = min(1.0, _MUCH_WORSE * upper_bound(old.failed, old.tried))
    return not tail(new.failed, new.tried, explained) < SHARED_CHANCE


def _pass(rate: Rate, tally: Tally) -> Finding:
    if surely_below(tally.failed, tally.tried, rate.limit):
        return Finding(rate.name, Verdict.PASS, Response.NONE, _shown(tally, rate.what))
    needed = trials_to_pass(tally.failed, rate.limit)
    shown = _shown(tally, rate.what) if tally.tried else "no samples"
    reason = f"{shown}, {needed - tally.tried} more without one would do"
    return Finding(rate.name, Verdict.NO_DATA, Response.NONE, reason)


def _shown(tally: Tally, what: str) -> str:
    return f"{tally.failed} of {tally.tried} {what} ({100 * tally.rate:.2f} %)"
