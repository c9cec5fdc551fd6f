"""`/admin/drain` in the OpenAPI document, and the limits of an order."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.drain.status import COUNTS, NAMES
from mina_ops.app.web.openapi.forms import (
    BOOLEAN,
    COUNT,
    DRAIN_STATES,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    TIME_OR_NULL,
    Schema,
    listed,
    or_null,
    record,
    ref,
)
from mina_ops.app.web.openapi.operations import ADMIN, Contract, operation

LONGEST_GRACE_SECONDS = 86_400
ORDER: Schema = record(
    {
        "grace_seconds": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": LONGEST_GRACE_SECONDS,
            "description": "Default: MINA_OPS_DRAIN_GRACE.",
        },
        "force": {**BOOLEAN, "description": "Also while another colour drains."},
    },
    "grace_seconds",
    "force",
    closed=True,
)


def _drain(more: Mapping[str, Schema]) -> Schema:
    counts, names = dict.fromkeys(COUNTS, COUNT), dict.fromkeys(NAMES, listed(TEXT))
    return record({"state": DRAIN_STATES, "order_id": TEXT_OR_NULL, **counts, **names, **more})


SCHEMAS: Mapping[str, Schema] = {
    "DrainOrder": ORDER,
    "DrainProcess": _drain({"process": TEXT}),
    "Drain": _drain(
        {
            "environment": TEXT,
            "started_at": TIME_OR_NULL,
            "deadline": TIME_OR_NULL,
            "grace_seconds": NUMBER_OR_NULL,
            "remaining_seconds": NUMBER_OR_NULL,
            "active_connections": COUNT,
            "leaving": COUNT,
            "sent_away": or_null(COUNT),
            "arrived": or_null(COUNT),
            "not_arrived": listed(record({"address": TEXT, "agent": TEXT, "sessions": COUNT})),
            "processes": listed(ref("DrainProcess")),
            "stale": BOOLEAN,
        }
    ),
}


def contract() -> Contract:
    """What `/admin/drain` takes and answers."""
    shown = {200: "Drain"}
    post = operation(
        "Begin to drain this colour.",
        "drain",
        {200: "Drain", 202: "Drain"},
        *(400, *ADMIN, 409, 413, 503),
        body="DrainOrder",
        needs_body=False,
    )
    get = operation("How far the drain is.", "drain", shown, *ADMIN)
    delete = operation("Serve again.", "drain", shown, *ADMIN, 409, 503)
    return Contract({"/admin/drain": {"post": post, "get": get, "delete": delete}}, SCHEMAS)
