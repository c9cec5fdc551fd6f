"""`GET /api/metrics/connections` and the client script, answered below Flask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mina_ops.app.component import Component
from mina_ops.app.sessions.component import Connections
from mina_ops.app.web.answers import Answer, Probe, ProbeRequest
from mina_ops.errors import InvalidRequest

SCRIPT_PATH = "/mina-ops/mina-stream.js"

_SCRIPT = Path(__file__).parents[1] / "clients" / "mina-stream.js"
_KNOWN = ("environment", "window")


class ConnectionRoutes(Component):
    """The count of connections, and the client script."""

    name = "connections.routes"

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def probes(self) -> Mapping[str, Probe]:
        return {"/api/metrics/connections": self._count, SCRIPT_PATH: _script}

    def _count(self, request: ProbeRequest) -> Answer:
        query, identity = request.query, self._connections.identity
        for name in query:
            if name not in _KNOWN:
                raise InvalidRequest(f"Unknown parameter {name!r}.", field=name)
        colour = query.get("environment") or identity.environment
        if colour not in identity.colours:
            known = ", ".join(identity.colours)
            raise InvalidRequest(f"No colour {colour[:64]!r}; known: {known}.", field="environment")
        return Answer(200, self._connections.figures(colour))


def _script(request: ProbeRequest) -> Answer:
    """The browsers' half of lossless streams; revalidated, so that a release replaces it."""
    source = _SCRIPT.read_bytes()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{hashlib.sha256(source).hexdigest()[:32]}"'}
    if request.header("If-None-Match") == headers["ETag"]:
        return Answer(304, None, headers, "text/javascript; charset=utf-8")
    return Answer(200, source, headers, "text/javascript; charset=utf-8")
