"""The bodies of the flag endpoints, as JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.forms import (
    COUNT,
    FLAG,
    KEY,
    NAME,
    NUMBER,
    NUMBER_OR_NULL,
    STORED,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    WHOSE,
    Schema,
    keyed,
    listed,
    record,
    ref,
)

_FRESHNESS: dict[str, Schema] = {
    "flags_version": COUNT,
    "stale": FLAG,
    "age_seconds": NUMBER_OR_NULL,
    "alert": TEXT_OR_NULL,
}
_CONFIRMED: dict[str, Schema] = {
    "flags_version": COUNT,
    "confirmed": FLAG,
    "applied_by": listed(TEXT),
    "waiting_for": listed(TEXT),
}
_MAYBE = ("confirmed", "applied_by", "waiting_for")
_FLAG_FIELDS: dict[str, Schema] = {
    "enabled": FLAG,
    "rollout_percent": {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.001},
    "salt": {"anyOf": [STORED, {"type": "null"}]},
    "allow": listed(STORED, maxItems=1000),
    "deny": listed(STORED, maxItems=1000),
    "rules": listed(ref("FlagRule"), maxItems=50),
    "colours": listed(NAME, maxItems=20),
    "minimum_release": {
        "anyOf": [{"type": "string", "pattern": "^v?[0-9]{1,6}(\\.[0-9]{1,6}){0,3}$"},
                  {"type": "null"}],
    },
    "release": {"anyOf": [STORED, {"type": "null"}]},
    "owner": {"anyOf": [STORED, {"type": "null"}]},
    "description": {"anyOf": [STORED, {"type": "null"}]},
    "expires": {"anyOf": [{"type": "string", "format": "date"}, TIME, {"type": "null"}]},
    "metadata": keyed({"type": ["boolean", "string", "number"]}),
    "on_unknown": {"enum": ["off", "on", "error"]},
    "variants": keyed({"type": ["boolean", "string", "number", "object"]}),
    "weights": keyed({"type": "number", "minimum": 0, "maximum": 1000000}),
}  # fmt: skip


def _condition(operators: list[str], *kinds: str) -> Schema:
    values = listed({"type": list(kinds)}, minItems=1, maxItems=200)
    return record(
        {"attribute": NAME, "operator": {"enum": operators}, "values": values}, closed=True
    )


_FLAG: Mapping[str, Schema] = {"key": KEY, **_FLAG_FIELDS}
_CONFIRM: Mapping[str, Schema] = {
    "confirm_seconds": {"type": "number", "minimum": 0, "maximum": 30}
}
_CHANGED = keyed({"type": ["object", "null"]})

FLAGS: Mapping[str, Schema] = {
    "EvaluatedFlags": record(
        {
            "flags": keyed({}),
            **WHOSE,
            "flags_version": COUNT,
            "stale": FLAG,
            "age_seconds": NUMBER_OR_NULL,
        },
        "age_seconds",
    ),
    "FlagCondition": {
        "anyOf": [
            _condition(["in", "not_in"], "boolean", "string", "number"),
            _condition(["starts_with", "ends_with", "contains"], "string"),
            _condition(["less", "less_or_equal", "greater", "greater_or_equal"], "number"),
        ]
    },
    "FlagRule": record(
        {
            "conditions": listed(ref("FlagCondition"), minItems=1, maxItems=20),
            "rollout_percent": _FLAG["rollout_percent"],
            "variant": {"anyOf": [NAME, {"type": "null"}]},
        },
        "rollout_percent",
        "variant",
    ),
    "FlagInput": record({**_FLAG, **_CONFIRM}, *_FLAG_FIELDS, "confirm_seconds", closed=True),
    "Flag": record({**_FLAG, **_FRESHNESS}),
    "FlagListed": record(_FLAG),
    "FlagChanged": record({**_FLAG, **_CONFIRMED}, *_MAYBE),
    "FlagDeleted": record(_CONFIRMED, *_MAYBE),
    "Flags": record({"flags": listed(ref("FlagListed")), **_FRESHNESS}),
    "FlagExport": record({"flags": listed({"type": "object"}), **_FRESHNESS}),
    # An export may be sent back as it is: its other fields are not looked at.
    "FlagsInput": record(
        {
            "flags": listed(record(_FLAG, *_FLAG_FIELDS, closed=True), maxItems=2000),
            **{name: {} for name in _FRESHNESS},
            **_CONFIRM,
        },
        *_FRESHNESS,
        *_CONFIRM,
        closed=True,
    ),
    "FlagsChanged": record({"changed": _CHANGED, **_CONFIRMED}, *_MAYBE),
    "FlagHistory": record({"changes": listed(ref("FlagChange"))}),
    "FlagChange": record(
        {
            **dict.fromkeys(("id", "actor", "address", "correlation_id", "action"), TEXT),
            "flags_version": COUNT,
            "at": NUMBER,
            "note": TEXT_OR_NULL,
            "undoes": TEXT_OR_NULL,
            "before": _CHANGED,
            "after": _CHANGED,
        }
    ),
    "FlagReport": record(
        {
            "findings": listed(
                record({"key": TEXT, "kind": TEXT, "detail": TEXT, "owner": TEXT_OR_NULL})
            ),
            **_FRESHNESS,
        }
    ),
    "Undo": record({"change": TEXT, **_CONFIRM}, "change", "confirm_seconds", closed=True),
    "UndoChange": record({"change": TEXT, **_CONFIRM}, "confirm_seconds", closed=True),
    "Release": record(
        {"release": {"type": "string", "minLength": 1}, **_CONFIRM},
        "confirm_seconds",
        closed=True,
    ),
    "Recover": record({"action": {"enum": ["restore", "discard"]}}, closed=True),
}
"""Name -> schema."""
