"""What a colour's endpoints answer, as typed values. Pure.

An app of another version may leave fields out or send others; what is missing is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

_OK = 200


@dataclass(frozen=True)
class Health:
    """The answer of `/api/health`; `checks` maps a check's name to its body."""

    http_status: int
    status: str
    version: str
    environment: str
    checks: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_answer(cls, http_status: int, body: Mapping[str, Any]) -> Self:
        """From the endpoint's status and body."""
        checks = body.get("checks")
        return cls(
            http_status=http_status,
            status=str(body.get("status", "unknown")),
            version=str(body.get("version", "unknown")),
            environment=str(body.get("environment", "unknown")),
            checks=checks if isinstance(checks, Mapping) else {},
            body=body,
        )

    @property
    def healthy(self) -> bool:
        """Whether the colour calls itself healthy."""
        return self.http_status == _OK and self.status == "healthy"

    def failing(self) -> list[str]:
        """The names of the checks that found something unfit."""
        fine = ("healthy", "warning", "uncertain", "disabled")
        return [
            name
            for name, check in self.checks.items()
            if (check.get("status") if isinstance(check, Mapping) else check) not in fine
        ]


@dataclass(frozen=True)
class Readiness:
    """The answer of `/api/health/ready`: whether one process may take new visitors."""

    ready: bool
    http_status: int
    reason: str
    environment: str | None = None

    @classmethod
    def from_answer(cls, http_status: int, body: Mapping[str, Any]) -> Self:
        """From the endpoint's status and body."""
        reasons = body.get("reasons")
        told = ", ".join(map(str, reasons)) if isinstance(reasons, list) else body.get("detail")
        reason, who = str(told or body.get("status", "?")), body.get("environment")
        return cls(http_status == _OK, http_status, reason, None if who is None else str(who))


@dataclass(frozen=True)
class Connections:
    """Live Socket.IO sessions of the whole colour; None where the app has no figure."""

    active: int | None
    drain_state: str | None
    stale: bool
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """From the body of `/api/metrics/connections`."""
        state = body.get("drain")
        return cls(
            active=_count(body.get("active_connections")),
            drain_state=state if isinstance(state, str) else None,
            stale=bool(body.get("stale", False)),
            body=body,
        )


@dataclass(frozen=True)
class DrainStatus:
    """How far a drain is.

    `state` is `serving`, `draining` or `drained`; `initial` sessions lived when it began,
    `forced` counts those that were cut, and `unflushed` names what could not be flushed.
    `sent_away` were closed by the drain, `arrived` of them are at the other colour (None: the app
    cannot tell), and `not_arrived` says who is not. `requests_at_balancer` are still in flight to
    the colour (None: not asked, or the load balancer cannot tell).
    """

    state: str
    active_connections: int | None
    remaining_seconds: float | None = None
    initial: int | None = None
    forced: int = 0
    unflushed: tuple[str, ...] = ()
    sent_away: int | None = None
    arrived: int | None = None
    not_arrived: tuple[str, ...] = ()
    requests_at_balancer: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """From a body of `/admin/drain`."""
        unflushed = body.get("unflushed")
        return cls(
            state=str(body.get("state", "unknown")),
            active_connections=_count(body.get("active_connections")),
            remaining_seconds=_number(body.get("remaining_seconds")),
            initial=_count(body.get("initial")),
            forced=_count(body.get("forced")) or 0,
            unflushed=tuple(map(str, unflushed)) if isinstance(unflushed, list) else (),
            sent_away=_count(body.get("sent_away")),
            arrived=_count(body.get("arrived")),
            not_arrived=_clients(body.get("not_arrived")),
            body=body,
        )

    @property
    def on_their_way(self) -> int:
        """Sessions that were sent away and have not arrived yet, as far as the app can tell."""
        return (self.sent_away or 0) - (self.arrived or 0)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _clients(value: object) -> tuple[str, ...]:
    """Each client of a list as `address agent (sessions)`."""
    found = [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
    return tuple(
        f"{one.get('address')} {one.get('agent') or '(no user agent)'} ({one.get('sessions')})"
        for one in found
    )
