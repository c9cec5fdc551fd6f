"""The bodies of every endpoint, as JSON Schemas (draft 2020-12, as OpenAPI 3.1 takes them)."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.flags import FLAGS
from mina_ops.app.web.openapi.forms import (
    COUNT,
    DRAIN_STATES,
    ERROR_CLASSES,
    FLAG,
    NUMBER,
    NUMBER_OR_NULL,
    PERCENT_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    WHOSE,
    Schema,
    keyed,
    listed,
    record,
    ref,
)
from mina_ops.app.web.openapi.leases import LEASES
from mina_ops.app.web.openapi.releases import RELEASES

_CHECK_FACTS: dict[str, Schema] = {
    "latency_ms": {"type": "number", "minimum": 0},
    "age_seconds": {"type": "number", "minimum": 0, "description": "Age of the last result."},
    "stale": {**FLAG, "description": "The last result is older than it should be."},
    "error": {"enum": ERROR_CLASSES},
    "correlation_id": {**TEXT, "description": "Leads to the full text in the log."},
    "detail": {**TEXT, "description": "Full text, for admins alone."},
}
_ABOUT: dict[str, Schema] = {
    "environment": TEXT,
    "window_seconds": COUNT,
    "samples": COUNT,
    "reporters": {**COUNT, "description": "Live processes of the colour."},
    "generated_at": TIME,
    "stale": FLAG,
}


def _drain(more: Mapping[str, Schema]) -> Schema:
    counts = dict.fromkeys(("remaining", "initial", "in_flight", "forced"), COUNT)
    names = dict.fromkeys(("forced_sessions", "unflushed", "holds"), listed(TEXT))
    return record({"state": DRAIN_STATES, "order_id": TEXT_OR_NULL, **counts, **names, **more})


def _outcome(rate: str) -> Schema:
    return record({rate: PERCENT_OR_NULL, "successes": COUNT, "failures": COUNT, **_ABOUT})


_CHECK_STATES = ["healthy", "warning", "uncertain", "unhealthy", "unknown", "disabled"]
_CHECK = record(
    {
        "status": {"enum": _CHECK_STATES},
        **_CHECK_FACTS,
    },
    *_CHECK_FACTS,
)

_METRICS: Mapping[str, Schema] = {
    "Connections": record(
        {
            "active_connections": COUNT,
            "by_transport": keyed(COUNT),
            "by_namespace": keyed(COUNT),
            "by_process": keyed(COUNT),
            "drain": DRAIN_STATES,
            **_ABOUT,
        }
    ),
    "Errors": record(
        {
            **dict.fromkeys(("error_rate_5min", "error_rate"), PERCENT_OR_NULL),
            **dict.fromkeys(("errors_5min", "requests_5min", "errors", "requests"), COUNT),
            **_ABOUT,
        }
    ),
    "Performance": record(
        {
            **dict.fromkeys(("p50_ms", "p95_ms", "p99_ms"), NUMBER_OR_NULL),
            "requests_per_second": NUMBER_OR_NULL,
            **_ABOUT,
        }
    ),
    "Histogram": record({"histogram_ms": listed(listed(NUMBER, minItems=2, maxItems=2)), **_ABOUT}),
    "Websockets": record(
        {
            "connection_success_rate": PERCENT_OR_NULL,
            **dict.fromkeys(("attempts", "accepted", "refused_while_draining"), COUNT),
            "failures": keyed(COUNT),
            **_ABOUT,
        }
    ),
    "ActiveSessions": record({"active_sessions": {"type": ["integer", "null"]}, **_ABOUT}),
    "CompletionRate": _outcome("completion_rate"),
    "InsightsSuccessRate": _outcome("insights_success_rate"),
    "OutcomeRate": _outcome("success_rate"),
}

_OTHERS: Mapping[str, Schema] = {
    "Problem": record(
        {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": TEXT,
            "detail": TEXT,
            "field": TEXT,
            "correlation_id": TEXT,
        },
        "field",
        "correlation_id",
    ),
    "Check": _CHECK,
    "Health": record(
        {
            "status": {"enum": ["healthy", "degraded"]},
            **WHOSE,
            "checks": keyed(ref("Check")),
            "uptime_seconds": {"type": "number", "minimum": 0},
        }
    ),
    "HealthDraft": record(
        {
            "status": {"enum": ["pass", "warn", "fail"]},
            "releaseId": TEXT,
            "serviceId": TEXT,
            "checks": keyed(listed({"type": "object"}, minItems=1)),
        }
    ),
    "Component": record({"status": TEXT, **_CHECK_FACTS}, *_CHECK_FACTS),
    "Live": record({"status": {"const": "alive"}, **WHOSE, "uptime_seconds": NUMBER}),
    "Ready": record(
        {
            "status": {"enum": ["ready", "not_ready"]},
            **WHOSE,
            "reasons": listed(TEXT),
            "warnings": listed(TEXT),
        },
        "reasons",
        "warnings",
    ),
    "Started": record(
        {"status": {"enum": ["started", "starting"]}, **WHOSE, "waiting": listed(TEXT)},
        "waiting",
    ),
    "DrainOrder": record(
        {
            "grace_seconds": {"type": ["number", "null"], "minimum": 0, "maximum": 86400},
            "force": FLAG,
        },
        "grace_seconds",
        "force",
        closed=True,
    ),
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
            "processes": listed(ref("DrainProcess")),
            "stale": FLAG,
        }
    ),
    "Audit": record({"entries": listed(ref("AuditEntry")), "sources": keyed(TEXT)}),
    "AuditEntry": record(
        {
            **dict.fromkeys(("id", "actor", "action", "subject", "address"), TEXT),
            **dict.fromkeys(("correlation_id", "environment", "version"), TEXT),
            "at": NUMBER,
            "before": {},
            "after": {},
        }
    ),
}

SCHEMAS: Mapping[str, Schema] = {**_OTHERS, **_METRICS, **FLAGS, **LEASES, **RELEASES}
"""Name -> schema of every body."""
