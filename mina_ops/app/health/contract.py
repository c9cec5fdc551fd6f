"""The health endpoints in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.forms import (
    BOOLEAN,
    ERROR_CLASSES,
    NUMBER,
    TEXT,
    WHOSE,
    Schema,
    keyed,
    listed,
    record,
    ref,
)
from mina_ops.app.web.openapi.operations import (
    JSON,
    Contract,
    Operation,
    in_path,
    operation,
    parameters,
)

_CHECK_FACTS: dict[str, Schema] = {
    "latency_ms": {"type": "number", "minimum": 0},
    "age_seconds": {"type": "number", "minimum": 0, "description": "Age of the last result."},
    "vouched_by": {
        "type": "integer",
        "description": "So many processes of the fleet ask in place of this one for now.",
    },
    "stale": {**BOOLEAN, "description": "The last result is older than it should be."},
    "error": {"enum": ERROR_CLASSES},
    "correlation_id": {**TEXT, "description": "Leads to the full text in the log."},
    "detail": {**TEXT, "description": "Full text, for admins alone."},
}
_CHECK_STATES = ["healthy", "warning", "uncertain", "unhealthy", "unknown", "disabled"]
_CHECK = record(
    {
        "status": {"enum": _CHECK_STATES},
        **_CHECK_FACTS,
    },
    *_CHECK_FACTS,
)

QUERY: Mapping[str, Schema] = {
    "verbose": {
        **TEXT,
        "description": "How each check is run; detail for admins. Off: 0, false or no.",
    },
    "exclude": {**TEXT, "description": "Checks that are neither shown nor counted; repeatable."},
    "group": {**TEXT, "description": "Only checks of this group."},
}
SCHEMAS: Mapping[str, Schema] = {
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
    "Live": record(
        {"status": {"enum": ["alive", "stuck"]}, **WHOSE, "uptime_seconds": NUMBER},
        "uptime_seconds",
    ),
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
}


def contract() -> Contract:
    """What `/api/health` and all below it take and answer."""
    whole = operation(
        "All checks; 503 if a critical one fails.",
        "health",
        {200: "Health", 503: "Health"},
        404,
        parameters=parameters(QUERY),
    )
    for status in ("200", "503"):
        draft = {"schema": ref("HealthDraft")}
        whole["responses"][status]["content"]["application/health+json"] = draft
    found: dict[str, dict[str, Operation]] = {"/api/health": {"get": whole}}
    for name, summary, bodies in (
        ("live", "Does this process answer? Asks no dependency.", {200: "Live", 503: "Live"}),
        ("ready", "May it get traffic?", {200: "Ready", 503: "Ready"}),
        ("started", "Is its first round of checks over?", {200: "Started", 503: "Started"}),
        ("db", "The database.", {200: "Component", 503: "Component"}),
        ("redis", "The shared state.", {200: "Component", 503: "Component"}),
        ("openai", "The AI service; never a billed call.", {200: "Component", 503: "Component"}),
        ("websockets", "The Socket.IO server.", {200: "Component", 503: "Component"}),
        ("disk", "Free disk space.", {200: "Component", 503: "Component"}),
        ("migrations", "Revision against code.", {200: "Component", 503: "Component"}),
    ):
        found[f"/api/health/{name}"] = {"get": operation(summary, "health", bodies)}
    own = operation(
        "A check of the host's own.",
        "health",
        {200: "Component", 503: "Component"},
        404,
        parameters=(in_path("check", {"type": "string", "pattern": "^[a-z0-9_-]{1,40}$"}),),
    )
    # The fixed paths above are names that a check of the host cannot have.
    own["responses"]["200"]["content"][JSON]["schema"] = {
        "anyOf": [ref(name) for name in ("Component", "Live", "Ready", "Started")]
    }
    found["/api/health/{check}"] = {"get": own}
    return Contract(found, SCHEMAS)
