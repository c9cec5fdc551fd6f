"""What a lease is made of, and which values its fields may have. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mina_ops.app.web.openapi.forms import Schema
from mina_ops.app.web.openapi.leases import ID, NAME, PID, SAYING, TTL_SECONDS
from mina_ops.errors import InvalidRequest


@dataclass(frozen=True)
class Lease:
    """Who holds what, as it is kept in the shared store.

    Attributes:
        id: chosen by the holder, so that a repeated request is known to be the same one.
        purpose, user, host, pid: what the holder says of itself, for people; pid 0: not told.
        ttl_seconds: how long it is held after it was taken or renewed last.
        since: Unix time at which it was taken.
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
    """The lease that a request's body asks for.

    Raises:
        InvalidRequest: a value is not of the form that it must have; names the field.
    """
    return Lease(
        name=lease_name(name),
        id=lease_id(body.get("id", "")),
        purpose=_text("purpose", body.get("purpose", ""), SAYING),
        user=_text("user", body.get("user", ""), SAYING),
        host=_text("host", body.get("host", ""), SAYING),
        pid=int(_number("pid", body.get("pid", 0), PID)),
        ttl_seconds=float(
            _number("ttl_seconds", body.get("ttl_seconds", TTL_SECONDS["default"]), TTL_SECONDS)
        ),
        since=since,
    )


def lease_name(value: str) -> str:
    """The value, if a lease may have it as its name; else raises InvalidRequest."""
    return _text("name", value, NAME)


def lease_id(value: str) -> str:
    """The value, if a holder may have it as its id; else raises InvalidRequest."""
    return _text("id", value, ID)


def _text(field: str, value: str, form: Schema) -> str:
    # `$` would let a line feed at the end pass.
    if not re.fullmatch(form["pattern"].removesuffix("$"), value):
        raise InvalidRequest(f"Field {field!r} must match {form['pattern']}.", field=field)
    return value


def _number(field: str, value: float, form: Schema) -> float:
    least, most = form["minimum"], form["maximum"]
    if not (math.isfinite(value) and least <= value <= most):
        raise InvalidRequest(f"Field {field!r} must be {least:g} to {most:g}.", field=field)
    return value
