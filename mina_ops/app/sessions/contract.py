"""The count of connections in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.metrics.contract import query
from mina_ops.app.web.openapi.forms import (
    ABOUT,
    COUNT,
    DRAIN_STATES,
    TEXT,
    Schema,
    keyed,
    listed,
    record,
)
from mina_ops.app.web.openapi.operations import Contract, operation, parameters

SCHEMAS: Mapping[str, Schema] = {
    "Connections": record(
        {
            "active_connections": COUNT,
            "by_transport": keyed(COUNT),
            "by_namespace": keyed(COUNT),
            "by_process": keyed(COUNT),
            "drain": DRAIN_STATES,
            "message_queue": {
                "type": ["boolean", "null"],
                "description": "Whether events of other processes reach this one's clients; null: "
                "they do not, and MINA_OPS_QUEUE_NEEDED says that they need not.",
            },
            "server": {
                **record(
                    {
                        "async_mode": TEXT,
                        "transports": listed(TEXT),
                        "most_sessions": {"type": ["integer", "null"]},
                    },
                    *("async_mode", "transports", "most_sessions"),
                ),
                "description": "How the process that was asked serves Socket.IO.",
            },
            **ABOUT,
        }
    ),
}


def contract(colours: tuple[str, ...], own: str) -> Contract:
    """What `/api/metrics/connections` takes and answers."""
    made = operation(
        "Live Socket.IO sessions of the colour, as they are now.",
        "metrics",
        {200: "Connections"},
        400,
        parameters=parameters(query(colours, own)),
    )
    return Contract({"/api/metrics/connections": {"get": made}}, SCHEMAS)
