"""What a lease is made of, and which values its fields may have. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mina_ops.app.leases.contract import ID, NAME, TTL_SECONDS
from mina_ops.app.web.openapi.check import require


@dataclass(frozen=True)
class Lease:
    """Who holds what, as it is kept in the shared store.

    Attributes:
        id: chosen by the holder, so that a repeated request is recognised.
        purpose, user, host, pid: what the holder says of itself, for people; pid 0: not told.
        ttl_seconds: how long it is held after it was taken or renewed last.
        since: when it was taken, seconds since the epoch.
    """

    name: str
    id: str
    purpose: str
    user: str
    host: str
    pid: int
    ttl_seconds: float
    since: float

    def to_bytes(self) -> bytes:
        """As the store keeps it."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON."""
        return asdict(self)


def lease_of(name: str, body: Mapping[str, Any], since: float) -> Lease:
    """The lease that a request's body asks for, which its schema has allowed.

    Raises:
        InvalidRequest: a value is not of the form that it must have; names the field.
    """
    return Lease(
        name=lease_name(name),
        id=lease_id(body.get("id", "")),
        purpose=body.get("purpose", ""),
        user=body.get("user", ""),
        host=body.get("host", ""),
        pid=int(body.get("pid", 0)),
        ttl_seconds=float(body.get("ttl_seconds", TTL_SECONDS["default"])),
        since=since,
    )


def lease_name(value: str) -> str:
    """The value, if a lease may have it as its name; else raises InvalidRequest."""
    require(value, NAME, "name")
    return value


def lease_id(value: str) -> str:
    """The value, if a holder may have it as its id; else raises InvalidRequest."""
    require(value, ID, "id")
    return value
