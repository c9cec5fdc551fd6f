"""The simple JSON Schemas that bodies are made of, and how they are put together."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
PERCENT_OR_NULL: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 100}
NUMBER_OR_NULL: Schema = {"type": ["number", "null"], "minimum": 0}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"}
KEY: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,127}$"}
STORED: Schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[^\\x00]*$"}
"""A text that Redis, PostgreSQL and JSON keep as it is."""
DOUBLE: Schema = {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max}
"""A number that every JSON reader takes; beyond 2^53 many round whole ones."""
NULL: Schema = {"type": "null"}
# Shown in terminals and pages as it is, so no control character and not too long.
SAYING: Schema = {
    "type": "string",
    "maxLength": 200,
    "pattern": "^[ -~\\u00a0-\\ud7ff]*$",
    "description": "Said for people, and shown to them as it is.",
}
ERROR_CLASSES = ["timeout", "refused", "auth", "dns", "pool_exhausted", "rate_limited", "error"]
ABOUT: dict[str, Schema] = {
    "environment": TEXT,
    "window_seconds": COUNT,
    "samples": COUNT,
    "reporters": {**COUNT, "description": "Live processes of the colour."},
    "generated_at": TIME,
    "stale": BOOLEAN,
}
"""What every answer of the metrics says of itself."""
DRAIN_STATES: Schema = {"enum": ["serving", "draining", "drained"]}
WHOSE: dict[str, Schema] = {"version": TEXT, "environment": TEXT}


def ref(name: str) -> Schema:
    """A reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(of: Schema, **more: Any) -> Schema:
    """An array."""
    return {"type": "array", "items": of, **more}


def keyed(of: Schema, **more: Any) -> Schema:
    """An object whose values are all alike."""
    return {"type": "object", "additionalProperties": of, **more}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, NULL]}


def record(properties: Mapping[str, Schema], *optional: str, closed: bool = False) -> Schema:
    """An object that has these properties, of which some may be missing."""
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
    }
    return {**schema, "additionalProperties": False} if closed else schema
