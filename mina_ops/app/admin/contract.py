"""The audit log and the document itself in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.admin.audit import MOST_ENTRIES
from mina_ops.app.web.openapi.forms import NUMBER, TEXT, Schema, keyed, listed, record, ref
from mina_ops.app.web.openapi.operations import ADMIN, JSON, Contract, answer, operation, parameters

DOCUMENT_PATH = "/admin/openapi.json"
FILTERS = ("actor", "action", "subject", "environment", "version", "correlation_id")
QUERY: Mapping[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_ENTRIES, "default": 50},
    "before": {"type": "number", "minimum": 0, "maximum": 1e12,
               "description": "Unix time; older entries."},
    **dict.fromkeys(FILTERS, TEXT),
}  # fmt: skip
SCHEMAS: Mapping[str, Schema] = {
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


def contract() -> Contract:
    """What `/admin/audit` and `/admin/openapi.json` take and answer."""
    document = operation("This document.", "admin", {})
    document["responses"]["200"] = answer(200, JSON, {"type": "object"})
    entries = operation(
        "Who did what, newest first.",
        "admin",
        {200: "Audit"},
        *(400, *ADMIN, 503),
        parameters=parameters(QUERY),
    )
    paths = {"/admin/audit": {"get": entries}, DOCUMENT_PATH: {"get": document}}
    return Contract(paths, SCHEMAS)
