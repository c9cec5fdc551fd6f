"""`/admin/leases/<name>` in the OpenAPI document, and the limits of a lease's fields."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.forms import BOOLEAN, NUMBER, SAYING, TEXT, Schema, record, ref
from mina_ops.app.web.openapi.operations import ADMIN, Contract, in_path, operation, parameters

NAME: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"}
ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"}
TTL_SECONDS: Schema = {"type": "number", "minimum": 1, "maximum": 3600, "default": 30}
PID: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}

_TIMES = {"id": ID, "ttl_seconds": TTL_SECONDS}
_HOLDER = {"purpose": SAYING, "user": SAYING, "host": SAYING, "pid": PID}

SCHEMAS: Mapping[str, Schema] = {
    "LeaseWanted": record({**_TIMES, **_HOLDER}, "ttl_seconds", *_HOLDER, closed=True),
    "LeaseRenewed": record(_TIMES, "ttl_seconds", closed=True),
    "Lease": record({"name": TEXT, **_TIMES, **_HOLDER, "since": NUMBER}),
    "Leased": record(
        {
            "lease": {"anyOf": [ref("Lease"), {"type": "null"}]},
            "shared": {**BOOLEAN, "description": "False: no other process knows of it."},
        }
    ),
}
QUERY: Mapping[str, Schema] = {
    "id": {**ID, "description": "The id that holds it."},
    "break": {
        **BOOLEAN,
        "default": False,
        "description": "It is another's, and that goes on record.",
    },
}


def contract() -> Contract:
    """What `/admin/leases/<name>` takes and answers."""
    name = in_path("name", NAME)
    known = (400, *ADMIN, 503)
    take = operation(
        "Take a lease; the holder's own id renews it.",
        "leases",
        {200: "Leased", 201: "Leased"},
        *(409, 413, *known),
        parameters=(name,),
        body="LeaseWanted",
    )
    take["responses"]["201"]["description"] = "It was free."
    renew = operation(
        "Hold it for longer.",
        "leases",
        {200: "Leased"},
        *(409, 412, 413, *known),
        parameters=(name,),
        body="LeaseRenewed",
    )
    free = operation(
        "Free it; `break` says that another holds it, and goes on record.",
        "leases",
        {200: "Leased"},
        *(409, 412, *known),
        parameters=(name, *parameters(QUERY, "id")),
    )
    look = operation("Who holds it.", "leases", {200: "Leased"}, *known, parameters=(name,))
    found = {"post": take, "get": look, "put": renew, "delete": free}
    return Contract({"/admin/leases/{name}": found}, SCHEMAS)
