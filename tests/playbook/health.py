"""Wait until apps that were just started say that they are healthy."""

from __future__ import annotations

import httpx

from mina_ops.demo.processes import Server
from tests.support.wait import eventually


def await_health(*servers: Server) -> None:
    """A check that was slow at the start is soon made again; then all of it is well."""
    for server in servers:
        eventually(
            lambda url=f"{server.url}/api/health": httpx.get(url).json()["status"] == "healthy",
            30,
            f"{server.name} is not healthy",
            ignoring=(httpx.TransportError,),
        )
