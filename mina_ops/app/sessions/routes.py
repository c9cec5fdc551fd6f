"""`GET /api/metrics/connections` and the client script, answered below Flask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mina_ops.app.component import Component
from mina_ops.app.metrics.contract import query
from mina_ops.app.sessions.component import Connections
from mina_ops.app.sessions.contract import contract
from mina_ops.app.web.answers import Answer, Probe, ProbeRequest
from mina_ops.app.web.openapi.check import query_values
from mina_ops.app.web.openapi.operations import Contract

SCRIPT_PATH = "/mina-ops/mina-stream.js"

_SCRIPT = Path(__file__).parents[1] / "clients" / "mina-stream.js"


class ConnectionRoutes(Component):
    """The count of connections, and the client script."""

    name = "connections.routes"

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def openapi(self) -> Contract:
        identity = self._connections.identity
        return contract(identity.colours, identity.environment)

    def probes(self) -> Mapping[str, Probe]:
        return {"/api/metrics/connections": self._count, SCRIPT_PATH: _script}

    def _count(self, request: ProbeRequest) -> Answer:
        identity = self._connections.identity
        known = query(identity.colours, identity.environment)
        # `window` is accepted as by the other metrics, so that one query string fits all of
        # them; it has no meaning here, since connections are counted as of now.
        colour = query_values(request.query, known)["environment"]
        return Answer(200, self._connections.figures(colour))


def _script(request: ProbeRequest) -> Answer:
    """The client script; browsers revalidate it each time, so a release replaces it at once."""
    source = _SCRIPT.read_bytes()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{hashlib.sha256(source).hexdigest()[:32]}"'}
    if request.header("If-None-Match") == headers["ETag"]:
        return Answer(304, None, headers, "text/javascript; charset=utf-8")
    return Answer(200, source, headers, "text/javascript; charset=utf-8")
