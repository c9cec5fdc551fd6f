"""The HTTP contract as one OpenAPI 3.1 document, put together from what each component brings.

Served to everyone: it holds no secret, and tools that read it seldom log in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mina_ops.app.web.openapi.forms import TEXT, Schema, record
from mina_ops.app.web.openapi.operations import Contract

_ABOUT = """\
Errors are problem details (RFC 9457). GET endpoints answer HEAD and OPTIONS. Rates are percent;
what has no data is null, with `samples` 0. A JSON body is read as JSON whatever its content type
says.
"""
_TAGS = {
    "health": "Is it well? For probes and people.",
    "metrics": "What it does, over all processes of a colour.",
    "flags": "Feature flags that both colours share.",
    "ofrep": "Flags for other services (OpenFeature Remote Evaluation Protocol).",
    "drain": "Let live sessions go.",
    "releases": "What controllers report of releases, and requests to them.",
    "leases": "One controller at a time.",
    "tokens": "Who may come.",
    "admin": "What was done, and this document.",
}
SCHEMAS: Mapping[str, Schema] = {
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
}


def document(version: str, contracts: Iterable[Contract]) -> dict[str, Any]:
    """The document of an app.

    Args:
        version: the release that the app runs.
        contracts: what its components bring.
    """
    paths: dict[str, dict[str, Any]] = {}
    schemas = dict(SCHEMAS)
    about = [_ABOUT]
    for contract in contracts:
        schemas |= contract.schemas
        about += contract.notes
        for path, operations in contract.paths.items():
            paths[path] = {
                method: {"operationId": operation_id(method, path), **operation}
                for method, operation in operations.items()
            }
    used = {tag for item in paths.values() for operation in item.values()
            for tag in operation["tags"]}  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "mina_ops", "version": version, "description": "\n".join(about)},
        "tags": [{"name": tag, "description": _TAGS.get(tag, "")} for tag in sorted(used)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "ofrepKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "session": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }


def operation_id(method: str, path: str) -> str:
    """A name that stays the same as long as method and path do, as `post_admin_flags_key_undo`."""
    return "_".join([method, *re.findall(r"[A-Za-z0-9]+", path)])
