"""What a check is, what a run of it finds, and when its state turns. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

HEALTHY, UNHEALTHY, UNKNOWN, DISABLED = "healthy", "unhealthy", "unknown", "disabled"
DEGRADED = "degraded"
WARNING = "warning"
"""It serves, and somebody should look at it. Counts as healthy."""
UNCERTAIN = "uncertain"
"""A check ran and cannot tell. Counts as healthy: it is no reason to take anybody out."""
READY = "ready"
"""The group of the checks that `/api/health/ready` asks."""

RESERVED = frozenset({"live", "ready", "started"})
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

Found = Mapping[str, Any] | bool | None
Run = Callable[[], Found]


class Unhealthy(Exception):
    """Raised by a check that found its dependency unfit; other exceptions count as well.

    Args:
        reason: for the log and for admins.
        error: the class that everyone sees.
        data: what everyone sees besides.
    """

    def __init__(
        self, reason: str, *, error: str = "error", data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(reason)
        self.error = error
        self.data = data or {}


class _Fit(Exception):
    """Raised by a check whose dependency serves, so that it is fit, and yet not simply healthy.

    Args:
        reason: what to do about it; everyone sees it.
        data: what everyone sees besides.
    """

    state = HEALTHY

    def __init__(self, reason: str, *, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.data = {**(data or {}), "reason": reason}


class Warned(_Fit):
    """Raised by a check that found something odd: `warning`, and 200."""

    state = WARNING


class CannotTell(_Fit):
    """Raised by a check that learned nothing, as one that was refused: `uncertain`, and 200."""

    state = UNCERTAIN


@dataclass(frozen=True, kw_only=True)
class Check:
    """How one dependency is examined.

    Args:
        name: its key in the bodies, and its path below `/api/health/`.
        run: returns nothing, True or what everyone may see of it if all is well; returns False
            or raises if not. None: the app does not use this part, the check is disabled.
        critical: whether its failure makes the app unfit (503), or only degraded (200).
        deadline_seconds: a run that takes longer has failed; its end is not waited for.
        ttl_seconds: pause between two runs.
        shared: whether all processes of both colours depend on the same thing.
        asked_by_few: whether the answer is the same whichever process asks, as that of an AI
            service. In a large fleet that is well, each process asks less often then, so that all
            together ask as often as eight do; at the latest every 5 minutes, and at once when
            one more process finds it unfit. While nobody knows how large the fleet is, a process
            takes what another one of its machine has just found.
        of_release: whether the answer depends on the code: then only processes of the same colour
            ask in place of this one.
        native: for code that blocks without yielding. Where gevent or eventlet made threads
            green, it runs in a forked child, which is killed at the deadline; it may log and
            lock as it likes, and must not use connections that the app has open.
        groups: names under which `?group=` finds it; `ready` counts for readiness.
        words: what its own endpoint calls healthy and unhealthy.
        aliases: other paths below `/api/health/`.
        cancel: called once for a run that is over its deadline, to break what it waits for.
        facts: what everyone may see of it in any state.
    """

    name: str
    run: Run | None
    critical: bool = True
    deadline_seconds: float = 2.0
    ttl_seconds: float = 5.0
    shared: bool = True
    asked_by_few: bool = False
    of_release: bool = False
    native: bool = False
    groups: frozenset[str] = frozenset({READY})
    words: tuple[str, str] = (HEALTHY, UNHEALTHY)
    aliases: tuple[str, ...] = ()
    cancel: Callable[[], None] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not _NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(
                    f"{name!r} cannot name a health check: use up to 40 lower-case letters, "
                    f"digits, '_' and '-', and none of {', '.join(sorted(RESERVED))}."
                )
        if self.deadline_seconds <= 0 or self.ttl_seconds <= 0:
            raise ValueError(f"Health check {self.name!r}: deadline and ttl are above 0 seconds.")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run found.

    `ended` is monotonic seconds; `error` one of the classes of `faults`; `data` is for everyone,
    `detail` for admins and the log, which `correlation_id` leads to.
    """

    ok: bool
    ended: float
    latency_seconds: float | None = None
    error: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    detail: str | None = None
    correlation_id: str | None = None
    state: str = HEALTHY
    """What the check is called while its runs succeed."""
    is_of_other: bool = False
    """Whether another process found it, from the same vantage point as this one."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A state turns when `needed` of the last `window` results contradict it."""

    needed: int = 2
    window: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.window:
            raise ValueError(f"{self.needed} of {self.window} results cannot turn a state.")


def turned(
    state: bool | None, recent: tuple[bool, ...], ok: bool, rule: Rule
) -> tuple[bool, tuple[bool, ...]]:
    """The state after one more result, and the results that the next one is judged with.

    The first result is the state. A turn forgets the results that led to it, so that they are
    not counted against the new state.
    """
    if state is None:
        return ok, ()
    recent = (*recent, ok)[-rule.window :]
    if sum(result != state for result in recent) >= rule.needed:
        return not state, ()
    return state, recent


def overall(states: Mapping[str, str], critical: frozenset[str]) -> tuple[str, bool]:
    """The status of all together, and whether it is fit to serve.

    Args:
        states: name -> healthy, warning, uncertain, unhealthy, unknown or disabled.
        critical: the names whose failure, or unknown state, makes it unfit.
    """
    bad = {name for name, state in states.items() if state in (UNHEALTHY, UNKNOWN)}
    return (DEGRADED if bad else HEALTHY), not bad & critical
