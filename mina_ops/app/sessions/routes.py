"""`GET /api/metrics/connections` and the client script, answered below Flask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mina_ops.app.web.answers import Answer, Probe, ProbeRequest
from mina_ops.errors import InvalidRequest

if TYPE_CHECKING:
    from mina_ops.app.sessions.component import Connections

SCRIPT_PATH = "/mina-ops/mina-stream.js"

_SCRIPT = Path(__file__).parents[1] / "clients" / "mina-stream.js"
_KNOWN = ("environment", "window")


def probes(connections: Connections) -> Mapping[str, Probe]:
    """Path -> probe."""

    def count(request: ProbeRequest) -> Answer:
        query = request.query
        for name in query:
            if name not in _KNOWN:
                raise InvalidRequest(f"Unknown parameter {name!r}.", field=name)
        colour = query.get("environment") or connections.environment
        if colour not in connections.colours:
            known = ", ".join(connections.colours)
            raise InvalidRequest(f"No colour {colour[:64]!r}; known: {known}.", field="environment")
        return Answer(200, connections.figures(colour))

    return {"/api/metrics/connections": count, SCRIPT_PATH: _script}


def _script(request: ProbeRequest) -> Answer:
    """The browsers' half of lossless streams; revalidated, so that a release replaces it."""
    source = _SCRIPT.read_bytes()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{hashlib.sha256(source).hexdigest()[:32]}"'}
    if request.header("If-None-Match") == headers["ETag"]:
        return Answer(304, None, headers, "text/javascript; charset=utf-8")
    return Answer(200, source, headers, "text/javascript; charset=utf-8")
