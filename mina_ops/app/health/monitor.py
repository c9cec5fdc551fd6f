"""Runs one check again and again, at most one run at a time, and keeps its state."""

from __future__ import annotations

import logging
import math
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from mina_ops.app.health.attempt import Attempt
from mina_ops.app.health.child import in_child
from mina_ops.app.health.fleet import Vouchers
from mina_ops.app.health.model import (
    DISABLED,
    UNHEALTHY,
    UNKNOWN,
    Check,
    Result,
    Rule,
    turned,
)
from mina_ops.app.health.permits import Wait
from mina_ops.app.native import green_library

_log = logging.getLogger(__name__)

CONFIRM_SECONDS = 1.0
"""A result that contradicts the state is confirmed or refuted after this, not after the TTL."""

ENOUGH = 8
"""So many processes are enough to ask what all of them share, each once in a TTL."""
LONGEST_PAUSE_SECONDS = 300.0
"""A process asks for itself at least that often: its own way there may be broken."""
_LEAST, _LEAST_OF_OTHER, _MOST = 0.5, 0.1, 1.5
"""Between which shares of a pause chance chooses."""

VouchersOf = Callable[[Check], Vouchers]
"""A check -> how many other processes are well by it, and how many are not."""
PermitsOf = Callable[[Check, bool], Wait | None]
"""A check, and whether an answer of another process will do -> a wait for its permit; None: no
need, as in a small fleet."""


@dataclass(frozen=True)
class Reading:
    """What a request sees: the state, the last result, how often it ran, failed and hung."""

    state: str
    last: Result | None = None
    runs: int = 0
    failures: int = 0
    abandoned: int = 0
    hangs: bool = False


class Monitor:
    """Runs one check when it is due and keeps what it found; never makes a reader wait."""

    def __init__(
        self,
        check: Check,
        rule: Rule,
        *,
        critical: bool,
        vouchers: VouchersOf = lambda check: Vouchers(),
        permits: PermitsOf = lambda check, takes_answers: None,
    ) -> None:
        self._vouchers = vouchers
        self._permits = permits
        # Of its own: the state of the module's generator may be the host's, who seeded it.
        self._random = random.Random()  # noqa: S311 - no secret
        self.check = check
        self.critical = critical
        self._rule = rule
        self.reset()

    def reset(self) -> None:
        """Forget runs and results: after a fork, the runs went on in the parent only."""
        self._lock = threading.Lock()
        self._healthy: bool | None = None
        self._recent: tuple[bool, ...] = ()
        self._run: object | None = None
        self._wait: Wait | None = None
        self._waits = False
        self._asked_at = time.monotonic()
        self._failing = 0
        self._due_at = 0.0
        self._spread = 1.0
        self.overdue_at = math.inf
        self.reading = Reading(DISABLED if self.check.run is None else UNKNOWN)

    def start_if_due(self) -> None:
        """Start a run unless it is too early or one is in flight; returns at once."""
        now = time.monotonic()
        self.settle(now)
        with self._lock:
            if self.check.run is None or now < self._due_at:
                return
            # A wait whose store hangs is left behind, and nobody else waits while it does: each
            # would leave one more thread there.
            hangs = self._wait is not None and self._wait.is_in_vain(now)
            if self._run is not None and not (self._waits and hangs):
                return
            if self._rests(now):
                return
            run = self._run = object()
            wait = None if hangs else self._wait_for_permit(now)
            self._waits = wait is not None
            self._wait = wait or self._wait
            if wait is None:
                self.overdue_at = now + self.check.deadline_seconds
        threading.Thread(
            target=self._examine,
            args=(run, wait),
            name=f"mina_ops-check-{self.check.name}",
            daemon=True,
        ).start()

    def vouched_by(self, now: float) -> int:
        """How many other processes ask in place of this one for now; 0: it asks for itself."""
        last = self.reading.last
        if self._rests(now):
            return self._vouchers(self.check).well
        is_fresh = last is not None and now < last.ended + self.check.ttl_seconds
        return 1 if last is not None and last.is_of_other and is_fresh else 0

    def _rests(self, now: float) -> bool:
        """Whether so many others are well that this process need not ask now.

        It asks when one more fails than when it asked last. If it is well then, it rests again:
        one process with a wrong key does not make a thousand others ask for ever.
        """
        last = self.reading.last
        if not self.check.asked_by_few or not self._healthy or last is None or not last.ok:
            return False
        others = self._vouchers(self.check)
        self._failing = min(self._failing, others.failing)
        if others.failing > self._failing:
            return False
        pause = min(self.check.ttl_seconds * others.well / ENOUGH, LONGEST_PAUSE_SECONDS / _MOST)
        return others.well > ENOUGH and now < last.ended + pause * self._spread

    def _wait_for_permit(self, now: float) -> Wait | None:
        if not self.check.asked_by_few:
            return None
        known = self.reading.last
        is_well = known is None or (known.ok and self._healthy is True)
        return self._permits(self.check, is_well and now < self._asked_at + LONGEST_PAUSE_SECONDS)

    def settle(self, now: float) -> None:
        """Count a run that is over its deadline as failed, again and again while it hangs."""
        if now < self.overdue_at:
            return
        with self._lock:
            if now < self.overdue_at:
                return
            first = not self.reading.hangs
            limit = self.check.deadline_seconds
            reason = f"no result within {limit:g} s"
            result = Result(
                ok=False, ended=now, latency_seconds=limit, error="timeout", detail=reason
            )
            self._take(result, hangs=True)
            turning = self._healthy is True
            self.overdue_at = now + (CONFIRM_SECONDS if turning else self.check.ttl_seconds)
        if first and self.check.cancel is not None:
            self.check.cancel()

    def _examine(self, run: object, wait: Wait | None) -> None:
        found = None if wait is None else wait.answer_or_permit()
        if wait is not None and not self._begin(run):
            wait.end(None)
            return
        failing = self._vouchers(self.check).failing
        result = found or self._attempt()
        self._finish(run, result, failing)
        if wait is not None:
            wait.end(None if found else result)

    def _begin(self, run: object) -> bool:
        """Count the time of a run that had to wait for its permit; False: another one took over."""
        with self._lock:
            if self._run is not run:
                return False
            self._waits = False
            self.overdue_at = time.monotonic() + self.check.deadline_seconds
            return True

    def _attempt(self) -> Result:
        attempt = Attempt(self.check)
        if self.check.native and green_library() is not None:
            return in_child(attempt, seconds=self.check.deadline_seconds)
        return attempt()

    def _finish(self, run: object, result: Result, failing: int) -> None:
        """Count a result. `failing`: how many others failed when this process began to ask."""
        with self._lock:
            if self._run is not run:
                return
            self._run = None
            self.overdue_at = math.inf
            if self.reading.hangs:
                # Its time was up long ago; what counts is how the next run does.
                self._due_at = result.ended
                self.reading = replace(self.reading, hangs=False)
                return
            self._take(result, hangs=False)
            contradicted = result.ok != self._healthy
            # Processes that were started together shall not ask together for ever. Those that took
            # one answer would have the same pause after it.
            least = _LEAST_OF_OTHER if result.is_of_other else _LEAST
            self._spread = self._random.uniform(least, _MOST)
            if not result.is_of_other:
                self._asked_at = result.ended
                self._failing = failing
            pause = min(CONFIRM_SECONDS, self.check.ttl_seconds)
            self._due_at = result.ended + (pause if contradicted else self.check.ttl_seconds)

    def _take(self, result: Result, *, hangs: bool) -> None:
        """Make a result the last one; turn the state if the rule says so."""
        before, old = self._healthy, self.reading
        result = self._with_correlation(result, old.last)
        self._healthy, self._recent = turned(before, self._recent, result.ok, self._rule)
        self.reading = Reading(
            result.state if self._healthy else UNHEALTHY,
            result,
            old.runs + 1,
            old.failures + (not result.ok),
            old.abandoned + (hangs and not old.hangs),
            hangs,
        )
        if before is not None and before != self._healthy:
            level = logging.INFO if self._healthy else logging.WARNING
            _log.log(level, "Health check %s is now %s", self.check.name, self.reading.state)
        elif self.reading.state != old.state and "reason" in result.data:
            _log.warning("Health check %s: %s", self.check.name, result.data["reason"])

    def _with_correlation(self, result: Result, last: Result | None) -> Result:
        """Log a failure when it begins or changes its class; repeats share its id."""
        if result.ok:
            return result
        if last is not None and not last.ok and last.error == result.error:
            return replace(result, correlation_id=last.correlation_id)
        correlation = secrets.token_hex(8)
        _log.warning(
            "Health check %s failed (%s), correlation id %s: %s",
            self.check.name,
            result.error,
            correlation,
            result.detail,
        )
        return replace(result, correlation_id=correlation)
