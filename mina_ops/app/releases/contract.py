"""`/admin/releases` in the OpenAPI document, and the limits of a report's fields."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.forms import (
    BOOLEAN,
    NUMBER,
    NUMBER_OR_NULL,
    SAYING,
    TEXT,
    Schema,
    listed,
    record,
    ref,
)
from mina_ops.app.web.openapi.operations import ADMIN, Contract, in_path, operation

ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}
KINDS = ("abort", "pause", "resume", "promote")
ENDS = ("done", "rolled_back", "failed")

PERCENT: Schema = {"type": "number", "minimum": 0, "maximum": 100}
_ANY: Schema = {"type": "object"}
_REPORT: dict[str, Schema] = {
    "version": TEXT,
    "from": TEXT,
    "to": TEXT,
    "phase": TEXT,
    "percent": PERCENT,
    "ended": BOOLEAN,
    "who": TEXT,
    "host": TEXT,
    "pid": NUMBER,
    "started_at": NUMBER,
    "seconds": {**NUMBER, "description": "Since the share last changed."},
    "seconds_left": {
        **NUMBER_OR_NULL,
        "description": "Until its share was watched long enough; null: nothing is watched.",
    },
    "paused": {**BOOLEAN, "description": "Whether it waits for a person."},
    "colours": {**_ANY, "description": "Colour -> its figures over the present window."},
    "verdicts": listed(_ANY),
    "response": TEXT,
    "reasons": listed(TEXT),
    "lines": listed(TEXT),
    "draining": _ANY,
}
_NEEDED = ("version", "from", "to", "phase", "percent", "ended")
_OPTIONAL = tuple(name for name in _REPORT if name not in _NEEDED)
_HEARD = {"id": ID, "heard_at": NUMBER, "age_seconds": NUMBER}
_ASKED = record(
    {"kind": {"enum": list(KINDS)}, "why": SAYING, "who": SAYING}, "why", "who", closed=True
)

REPORT = record({**_REPORT}, *_OPTIONAL, closed=True)
REQUEST = record({"request": _ASKED}, closed=True)
SCHEMAS: Mapping[str, Schema] = {
    "ReleaseReport": {"anyOf": [REPORT, REQUEST]},
    "ReportedRelease": record(
        {**_REPORT, **_HEARD, "requests": listed(_ANY)}, *_OPTIONAL, "requests"
    ),
    "ReportedReleases": record({"releases": listed(ref("ReportedRelease"))}),
}


def contract() -> Contract:
    """What `/admin/releases` takes and answers."""
    named = (in_path("release_id", ID),)
    known = (*ADMIN, 503)
    everyone = operation("The newest releases.", "releases", {200: "ReportedReleases"}, *known)
    look = operation(
        "One release.", "releases", {200: "ReportedRelease"}, *(400, 404, *known), parameters=named
    )
    report = operation(
        "A controller's report, or a request to it.",
        "releases",
        {200: "ReportedRelease"},
        *(400, 404, 409, 413, *known),
        parameters=named,
        body="ReleaseReport",
    )
    paths = {
        "/admin/releases": {"get": everyone},
        "/admin/releases/{release_id}": {"get": look, "put": report},
    }
    return Contract(paths, SCHEMAS)
