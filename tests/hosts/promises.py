"""What mina_ops promises to every host, each as a check over any client."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from flask import Flask

from tests.hosts.host import TOKEN
from tests.support.wait import eventually

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Reply:
    """An answer: its status, text, and what it is as JSON (None: it is none)."""

    status: int
    text: str
    json: Any

    @classmethod
    def of(cls, status: int, text: str) -> Reply:
        """An answer with this text."""
        try:
            return cls(status, text, json.loads(text))
        except ValueError:
            return cls(status, text, None)


Ask = Callable[..., Reply]
"""`ask(method, path, body=None, headers=None)`"""
Headers = dict[str, str]


def of_client(app: Flask) -> Ask:
    """Asks an app in this process."""
    client = app.test_client()

    def ask(method: str, path: str, body: object = None, headers: Headers | None = None) -> Reply:
        answer = client.open(path, method=method, json=body, headers=headers)
        return Reply.of(answer.status_code, answer.get_data(as_text=True))

    return ask


def of_server(url: str) -> Ask:
    """Asks a host that runs elsewhere."""

    def ask(method: str, path: str, body: object = None, headers: Headers | None = None) -> Reply:
        answer = httpx.request(method, url + path, json=body, headers=headers, timeout=20)
        return Reply.of(answer.status_code, answer.text)

    return ask


def health(ask: Ask) -> None:
    """Probes answer, and the host gets ready."""
    assert ask("GET", "/api/health/live").status == 200
    eventually(lambda: ask("GET", "/api/health/ready").status == 200, 20, "it to get ready")
    found = ask("GET", "/api/health")
    assert (found.status, found.json["status"]) == (200, "healthy")


def metrics(ask: Ask) -> None:
    """Figures come as the playbook compares them."""
    assert "error_rate_5min" in ask("GET", "/api/metrics/errors").json
    assert "p95_ms" in ask("GET", "/api/metrics/performance").json


def flags(ask: Ask) -> None:
    """A flag is set, read and killed with a token, whatever walls the host has."""
    flag = {"key": "zoo", "enabled": True}
    assert ask("POST", "/admin/flags", flag, BEARER).status in (200, 201)
    # Not `/api/flags`, which answers for the host's own users, behind the host's own walls.
    assert ask("GET", "/admin/flags/zoo", None, BEARER).json["enabled"] is True
    killed = ask("POST", "/admin/flags", {**flag, "enabled": False}, BEARER)
    assert (killed.status, killed.json["confirmed"]) == (200, True)
    read = ask("GET", "/admin/flags/zoo", None, BEARER).json["revision"]
    change, match = {"key": "zoo", "rollout_percent": 5}, {"If-Match": f'"{read}"'}
    assert ask("POST", "/admin/flags", change, {**BEARER, **match}).status == 200


def drain(ask: Ask) -> None:
    """A drain begins and is taken back with a token."""
    assert ask("POST", "/admin/drain", {"grace_seconds": 5}, BEARER).status == 202
    assert ask("DELETE", "/admin/drain", None, BEARER).status == 200
    eventually(lambda: ask("GET", "/admin/drain", None, BEARER).json["state"] == "serving", 10)


def admin(ask: Ask) -> None:
    """Changes are recorded, and nobody gets in without a token."""
    ask("POST", "/admin/flags", {"key": "zoo", "enabled": True}, BEARER)
    entries = ask("GET", "/admin/audit", None, BEARER).json["entries"]
    assert entries[0]["actor"] == "token:zoo"
    assert ask("GET", "/admin/audit").status not in (200, 500)


PROMISES = (health, metrics, flags, drain, admin)
