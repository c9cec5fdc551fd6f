"""The flag endpoints in the OpenAPI document, and the limits of what they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mina_ops.app.flags import limits
from mina_ops.app.flags.confirm import MOST_SECONDS
from mina_ops.app.flags.report import SETTLED_DAYS
from mina_ops.app.web.openapi.forms import (
    BOOLEAN,
    COUNT,
    KEY,
    NUMBER,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    WHOSE,
    Schema,
    keyed,
    listed,
    record,
    ref,
)
from mina_ops.app.web.openapi.operations import (
    ADMIN,
    STATUS,
    Contract,
    Operation,
    in_path,
    operation,
    parameters,
)

MOST_RECORDS = 1_000
MOST_FLAGS = 2_000
CONFIRM: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": MOST_SECONDS,
    "description": "How long to wait until every process has applied it. Default: 2, for a "
    "change that turns something off.",
}
LIST_QUERY: Mapping[str, Schema] = {
    "prefix": {**TEXT, "default": "", "description": "Of the key."},
    "release": {**TEXT, "description": "Which brought the flag."},
}
DELETE_QUERY: Mapping[str, Schema] = {"confirm_seconds": CONFIRM}
HISTORY_QUERY: Mapping[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_RECORDS, "default": 50}
}
REPORT_QUERY: Mapping[str, Schema] = {
    "days": {"type": "number", "minimum": 0, "maximum": 36_500, "default": SETTLED_DAYS,
             "description": "Unchanged for so long is settled."}
}  # fmt: skip

_FRESHNESS: dict[str, Schema] = {
    "flags_version": COUNT,
    "stale": BOOLEAN,
    "age_seconds": NUMBER_OR_NULL,
    "alert": TEXT_OR_NULL,
}
_CONFIRMED: dict[str, Schema] = {
    "flags_version": COUNT,
    "confirmed": BOOLEAN,
    "applied_by": listed(TEXT),
    "waiting_for": listed(TEXT),
}
_MAYBE = ("confirmed", "applied_by", "waiting_for")
_CONFIRM = {"confirm_seconds": CONFIRM}
_FLAG: Mapping[str, Schema] = limits.FLAG["properties"]
_CHANGED = keyed({"type": ["object", "null"]})
_CHANGE: Schema = {**TEXT, "description": "A change's id; default: the last one."}

FLAG_INPUT = record({**_FLAG, **_CONFIRM}, *limits.FIELDS, "confirm_seconds", closed=True)
# What a field may hold is checked where the flag is made (`model.py`), once.
FLAG_SET = record(
    {"key": KEY, **{name: {} for name in limits.FIELDS}, **_CONFIRM},
    *limits.FIELDS, "confirm_seconds", closed=True,
)  # fmt: skip
# Flags are checked one by one, so that the error names the field of the one that is wrong; an
# export may be sent back as it is, so its other fields are not looked at.
IMPORT = record(
    {"flags": listed({"type": "object"}, maxItems=MOST_FLAGS), **{key: {} for key in _FRESHNESS},
     **_CONFIRM},
    *_FRESHNESS, *_CONFIRM, closed=True,
)  # fmt: skip
UNDO = record({"change": _CHANGE, **_CONFIRM}, "change", "confirm_seconds", closed=True)
UNDO_CHANGE = record({"change": _CHANGE, **_CONFIRM}, "confirm_seconds", closed=True)
RELEASE = record(
    {"release": {"type": "string", "minLength": 1}, **_CONFIRM}, "confirm_seconds", closed=True
)
RECOVER = record({"action": {"enum": ["restore", "discard"]}}, closed=True)

SCHEMAS: Mapping[str, Schema] = {
    **limits.NAMED,
    "EvaluatedFlags": record(
        {
            "flags": keyed({}),
            **WHOSE,
            "flags_version": COUNT,
            "stale": BOOLEAN,
            "age_seconds": NUMBER_OR_NULL,
        },
        "age_seconds",
    ),
    "FlagInput": FLAG_INPUT,
    "Flag": record({**_FLAG, **_FRESHNESS, "revision": TEXT}),
    "FlagListed": record(_FLAG),
    "FlagChanged": record({**_FLAG, **_CONFIRMED}, *_MAYBE),
    "FlagDeleted": record(_CONFIRMED, *_MAYBE),
    "Flags": record({"flags": listed(ref("FlagListed")), **_FRESHNESS}),
    "FlagExport": record({"flags": listed({"type": "object"}), **_FRESHNESS}),
    "FlagsInput": {
        **IMPORT,
        "properties": {
            **IMPORT["properties"],
            "flags": listed(limits.FLAG, maxItems=MOST_FLAGS),
        },
    },
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
    "Undo": UNDO,
    "UndoChange": UNDO_CHANGE,
    "Release": RELEASE,
    "Recover": RECOVER,
}


def contract() -> Contract:
    """What `/api/flags` and `/admin/flags` take and answer."""
    own = operation("The caller's flags.", "flags", {200: "EvaluatedFlags"})
    own["parameters"] = [{"name": "If-None-Match", "in": "header", "schema": TEXT}]
    own["responses"]["304"] = {"description": STATUS[304]}
    return Contract({"/api/flags": {"get": own}, **_of_one(), **_of_several()}, SCHEMAS)


def _read(summary: str, shows: str, *problems: int, **more: Any) -> Operation:
    return operation(summary, "flags", {200: shows}, *ADMIN, *problems, **more)


def _write(summary: str, shows: str, *problems: int, **more: Any) -> Operation:
    answers = {200: shows, 202: shows, **({201: shows} if shows == "FlagChanged" else {})}
    return operation(summary, "flags", answers, 400, *ADMIN, 409, 503, *problems, **more)


def _of_one() -> dict[str, dict[str, Operation]]:
    key, match = in_path("key", KEY), {"name": "If-Match", "in": "header", "schema": TEXT}
    one, history = "/admin/flags/{key}", parameters(HISTORY_QUERY)
    undo = _write("Undo a flag's last change.", "FlagsChanged", 404, 413,
                  parameters=(key,), body="Undo", needs_body=False)  # fmt: skip
    return {
        "/admin/flags": {
            "get": _read("All flags.", "Flags", 400, parameters=parameters(LIST_QUERY)),
            "post": _write("Set fields of a flag.", "FlagChanged", 412, 413,
                           parameters=(match,), body="FlagInput"),
        },
        one: {
            "get": _read("One flag.", "Flag", 400, 404, parameters=(key,)),
            "delete": _write("Delete a flag.", "FlagDeleted", 404, 412,
                             parameters=(key, *parameters(DELETE_QUERY), match)),
        },
        f"{one}/history": {"get": _read("A flag's changes, newest first.", "FlagHistory", 400, 503,
                                        parameters=(key, *history))},
        f"{one}/undo": {"post": undo},
    }  # fmt: skip


def _of_several() -> dict[str, dict[str, Operation]]:
    several = "/admin/flags/-"
    return {
        f"{several}/history": {"get": _read("All changes.", "FlagHistory", 400, 503,
                                            parameters=parameters(HISTORY_QUERY))},
        f"{several}/undo": {"post": _write("Undo one change, all its flags.", "FlagsChanged",
                                           404, 413, body="UndoChange")},
        f"{several}/disable-for-release": {"post": _write(
            "Turn off all that a release brought.", "FlagsChanged", 413, body="Release")},
        f"{several}/export": {"get": _read("All flags, as import takes them.", "FlagExport")},
        f"{several}/import": {"post": _write("Make flags what an export says.", "FlagsChanged",
                                             413, body="FlagsInput")},
        f"{several}/report": {"get": _read("Flags that somebody should look at.", "FlagReport",
                                           400, parameters=parameters(REPORT_QUERY))},
        f"{several}/recover": {"post": _write("Settle a loss of the store.", "FlagsChanged", 413,
                                              body="Recover")},
    }  # fmt: skip
