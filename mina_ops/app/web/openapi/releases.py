"""Releases: the limits of their fields, and the bodies of `/admin/releases`."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.forms import (
    FLAG,
    NUMBER,
    TEXT,
    Schema,
    listed,
    record,
    ref,
)
from mina_ops.app.web.openapi.leases import SAYING

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
    "ended": FLAG,
    "who": TEXT,
    "host": TEXT,
    "pid": NUMBER,
    "started_at": NUMBER,
    "seconds": {**NUMBER, "description": "Since the share last changed."},
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

RELEASES: Mapping[str, Schema] = {
    "ReleaseReport": {
        "anyOf": [
            record({**_REPORT}, *_OPTIONAL, closed=True),
            record({"request": _ASKED}, closed=True),
        ]
    },
    "ReportedRelease": record(
        {**_REPORT, **_HEARD, "requests": listed(_ANY)}, *_OPTIONAL, "requests"
    ),
    "ReportedReleases": record({"releases": listed(ref("ReportedRelease"))}),
}
