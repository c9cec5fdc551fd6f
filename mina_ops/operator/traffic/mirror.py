"""Mirroring: visitors' requests are copied to a colour that has no visitors yet. Pure.

The visitor is answered by the colour that serves, and what the other one answers reaches nobody.
Only GET and HEAD are copied, and no request that has a body or asks for another protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mina_ops.errors import ConfigurationError

DRIVERS = ("nginx", "envoy")
"""The load balancers that can mirror requests."""

OWN_PATHS = ("/admin", "/mina-ops", "/metrics", "/api/health", "/api/metrics", "/api/flags")
"""Never mirrored, with all below them: our own, and Socket.IO's path beside them."""

MOST_AT_ONCE = 32
"""Copies on their way at one time; what comes beyond is not copied, so that a colour which hangs
takes up only so much of a load balancer."""

HEADER = "X-Mina-Shadow"
"""A copy bears this header, with the value 1."""


@dataclass(frozen=True)
class Mirror:
    """`percent` of the requests that may be copied go to the colour `to` as well.

    The load balancer ends it by itself `seconds` after it was applied, by its own clock. So a
    controller that dies leaves no mirror behind, and one that lives applies it again before that.

    Raises:
        ConfigurationError: percent is not a whole number from 1 to 100, seconds not from 1 to 3600.
    """

    to: str
    percent: int = 100
    seconds: int = 60

    def __post_init__(self) -> None:
        _require("percent", self.percent, 100)
        _require("seconds", self.seconds, 3600)

    @classmethod
    def from_json(cls, value: Any) -> Mirror:
        """What `to_json` wrote. Raises KeyError, TypeError or ConfigurationError otherwise."""
        return cls(value["to"], value["percent"], value["seconds"])

    def to_json(self) -> dict[str, str | int]:
        """A plain value for JSON."""
        return {"to": self.to, "percent": self.percent, "seconds": self.seconds}

    def describe(self) -> str:
        """As a person says it."""
        return f"{self.percent} % of GETs mirrored to {self.to}"


def refusal(driver: str) -> str:
    """Why a load balancer cannot mirror, and what to type."""
    return (
        f"The driver {driver} cannot mirror requests; {' and '.join(DRIVERS)} can. Set "
        "shadow_seconds = 0 in [release], and leave --shadow away."
    )


def refuse(driver: str, mirror: Mirror | None) -> None:
    """Return where nothing is to be mirrored.

    Raises:
        ConfigurationError: something is, by a load balancer that cannot do it.
    """
    if mirror is not None:
        raise ConfigurationError(refusal(driver))


def _require(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ConfigurationError(
            f"{value!r} is no {name} of a mirror: give a whole number from 1 to {most}."
        )
