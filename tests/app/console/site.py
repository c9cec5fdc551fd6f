"""Both colours as processes over a real Redis, and a client that knows the console's paths."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import httpx

from mina_ops.demo.processes import Server
from tests.support.hosts import Hosts

TOKEN = "mina_the-token-of-the-console"
READER = "mina_the-token-of-the-wall"
HOST = "tests.app.console.host:app"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass
class Site:
    """Two colours. `ask` takes a path below the console."""

    blue: Server
    green: Server

    def ask(
        self, path: str = "data", *, token: str | None = TOKEN, colour: str = "blue"
    ) -> httpx.Response:
        server = self.blue if colour == "blue" else self.green
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"{server.url}/mina-ops/{path}", headers=headers, timeout=10)

    def data(self, colour: str = "blue") -> dict[str, Any]:
        answer = self.ask(colour=colour)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def act(self, *, token: str = TOKEN, at: str = "blue", **order: Any) -> httpx.Response:
        server = self.blue if at == "blue" else self.green
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{server.url}/mina-ops/act"
        return httpx.post(url, json=order, headers=headers, timeout=10)


def start(start_host: Hosts, redis_url: str, worker: str = "gthread", **more: str) -> Site:
    """Both colours, one process each."""
    servers = {}
    for colour, version in (("blue", "v2.4.5"), ("green", "v2.5.0")):
        servers[colour] = start_host(
            HOST,
            worker=worker,
            environment={
                "ENVIRONMENT": colour,
                "APP_VERSION": version,
                "REDIS_URL": redis_url,
                "MINA_OPS_ADMIN_TOKENS": f"ops:{digest(TOKEN)}",
                "MINA_OPS_READ_TOKENS": f"wall:{digest(READER)}",
                **more,
            },
        )
    return Site(servers["blue"], servers["green"])
