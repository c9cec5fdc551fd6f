"""Leases: the limits of their fields, and the bodies of `/admin/leases/<name>`."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.forms import FLAG, NUMBER, TEXT, Schema, record, ref

NAME: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"}
ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"}
TTL_SECONDS: Schema = {"type": "number", "minimum": 1, "maximum": 3600, "default": 30}
# Shown in terminals and pages as it is, so no control character and not too long.
SAYING: Schema = {
    "type": "string",
    "pattern": "^[ -~\\u00a0-\\ud7ff]{0,200}$",
    "description": "What the holder says of itself, for people.",
}
PID: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}

_TIMES = {"id": ID, "ttl_seconds": TTL_SECONDS}
_HOLDER = {"purpose": SAYING, "user": SAYING, "host": SAYING, "pid": PID}

LEASES: Mapping[str, Schema] = {
    "LeaseWanted": record({**_TIMES, **_HOLDER}, "ttl_seconds", *_HOLDER, closed=True),
    "LeaseRenewed": record(_TIMES, "ttl_seconds", closed=True),
    "Lease": record({"name": TEXT, **_TIMES, **_HOLDER, "since": NUMBER}),
    "Leased": record(
        {
            "lease": {"anyOf": [ref("Lease"), {"type": "null"}]},
            "shared": {**FLAG, "description": "False: no other process knows of it."},
        }
    ),
}
