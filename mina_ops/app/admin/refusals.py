"""Counts refused callers, slows down those that guess tokens, and tells the audit log.

A valid token is never refused because others guessed: behind a load balancer all may seem to come
from one address, and an attacker must not lock the operators out. A token of 256 random bits cannot
be guessed at any speed, so only the cost of guesses is bounded. From the eleventh within a minute
on, an address gets 429 without a look at the store. Many refusals make one entry of a log of their
own, so that a flood of them pushes no change out of the audit log.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mina_ops.app.web.client import client_of
from mina_ops.errors import TooManyRequests

UNKNOWN = "unknown_token"
MOST_A_MINUTE = 10
_MINUTE = 60.0
_MOST_ADDRESSES = 1_000
_MOST_WAITING = 10_000
_SHOWN_ADDRESSES = 5
_LONGEST_SILENCE = 3600.0


@dataclass
class Tale:
    """Refusals that the audit log has not been told of yet: how often, why, and from where."""

    reasons: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)
    not_before: float = 0.0
    pause: float = _MINUTE

    def to_json(self) -> dict[str, Any]:
        """As an entry holds it."""
        addresses = dict(self.addresses.most_common(_SHOWN_ADDRESSES))
        return {
            "times": self.reasons.total(),
            "reasons": dict(self.reasons),
            "addresses": addresses,
        }


class Refusals:
    """The refusals of this process. It takes no lock: it is called wherever a request is."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, str]] = deque(maxlen=_MOST_WAITING)
        self._minute = 0.0
        self._by_address: dict[str, int] = {}
        self._tale = Tale()

    def note(self, reason: str, environ: Mapping[str, Any]) -> None:
        """Count a refusal.

        Args:
            reason: a label of the metrics: `unknown_token`, `expired_token`, `revoked_token`,
                `token_scope`, `user`, `cross_site` or `login`.
        """
        address = client_of(environ)
        self._waiting.append((reason, address))
        if reason == UNKNOWN:
            guesses = self._guesses()
            if address in guesses or len(guesses) < _MOST_ADDRESSES:
                guesses[address] = guesses.get(address, 0) + 1

    def slow_down(self, environ: Mapping[str, Any]) -> None:
        """Refuse an address that guessed too often.

        Raises:
            TooManyRequests: it bore more than 10 unknown tokens in this minute.
        """
        if self._guesses().get(client_of(environ), 0) >= MOST_A_MINUTE:
            wait = max(1, round(self._minute + _MINUTE - time.monotonic()))
            raise TooManyRequests(
                "Too many unknown tokens came from this address.", retry_after_seconds=wait
            )

    def take(self) -> Counter[str]:
        """What was counted since the last call, by reason."""
        taken: Counter[str] = Counter()
        while self._waiting:
            reason, address = self._waiting.popleft()
            taken[reason] += 1
            self._tale.reasons[reason] += 1
            if address in self._tale.addresses or len(self._tale.addresses) < _MOST_ADDRESSES:
                self._tale.addresses[address] += 1
        return taken

    def tale(self) -> dict[str, Any] | None:
        """What the audit log should be told now; None: nothing, or it was told lately.

        The first refusal is told at once; while they go on, the pauses double, up to an hour.
        """
        now, tale = time.monotonic(), self._tale
        if not tale.reasons:
            return None
        if now < tale.not_before:
            return None
        went_on = now < tale.not_before + tale.pause
        pause = min(tale.pause * 2, _LONGEST_SILENCE) if went_on else _MINUTE
        self._tale = Tale(not_before=now + pause, pause=pause)
        return tale.to_json()

    def _guesses(self) -> dict[str, int]:
        now = time.monotonic()
        if now - self._minute >= _MINUTE:
            self._minute, self._by_address = now, {}
        return self._by_address
