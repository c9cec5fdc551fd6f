"""`/admin/leases/<name>` over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mina_ops import MinaOps

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
URL = "/admin/leases/traffic"
ANA = {"id": "id-of-ana", "purpose": "a switch", "user": "ana", "host": "one", "pid": 7}


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    app = Flask(__name__)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    app.config.update(ENVIRONMENT="blue", MINA_OPS_ADMIN_TOKENS={"ci": digest})
    MinaOps(app)
    yield app.test_client()
    app.extensions["mina_ops"].heartbeat.stop()


def ask(client: FlaskClient, method: str, query: str = "", body: Any = None) -> tuple[int, Any]:
    answer = client.open(URL + query, method=method, json=body, headers=BEARER)
    return answer.status_code, answer.get_json()


def test_take_look_renew_and_free(client: FlaskClient) -> None:
    status, body = ask(client, "POST", body=ANA)
    assert (status, body["shared"]) == (201, False)
    assert {**ANA, "ttl_seconds": 30}.items() <= body["lease"].items()
    assert ask(client, "GET") == (200, body)
    status, renewed = ask(client, "PUT", body={"id": "id-of-ana", "ttl_seconds": 45})
    assert (status, renewed["lease"]["ttl_seconds"]) == (200, 45)
    assert ask(client, "DELETE", "?id=id-of-ana") == (200, {"lease": None, "shared": False})
    assert ask(client, "DELETE", "?id=id-of-ana") == (200, {"lease": None, "shared": False})


def test_another_is_refused_with_the_holder_in_the_answer(client: FlaskClient) -> None:
    ask(client, "POST", body=ANA)
    status, body = ask(client, "POST", body={**ANA, "id": "id-of-ben"})
    assert (status, body["code"], body["lease"]["user"]) == (409, "conflict", "ana")
    for refused in (
        ask(client, "PUT", body={"id": "id-of-ben"}),
        ask(client, "DELETE", "?id=id-of-ben"),
    ):
        assert (refused[0], refused[1]["lease"]["user"]) == (412, "ana")


def test_a_lease_that_is_broken_goes_on_record_and_its_holder_is_told(client: FlaskClient) -> None:
    ask(client, "POST", body=ANA)
    assert ask(client, "DELETE", "?id=id-of-ana&break=true")[0] == 200
    status, body = ask(client, "PUT", body={"id": "id-of-ana"})
    assert (status, body["lease"]) == (412, None)
    entries = client.get("/admin/audit?action=lease.break", headers=BEARER).get_json()["entries"]
    assert [(e["actor"], e["subject"], e["before"]["user"]) for e in entries] == [
        ("token:ci", "traffic", "ana")
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "short"),
        ("id", "id-of-ana\n"),
        ("user", "\x1b[2J"),
        ("purpose", "x" * 201),
        ("pid", -1),
        ("ttl_seconds", 0.5),
        ("ttl_seconds", 3601),
        ("ttl_seconds", float("nan")),
        ("nonsense", 1),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_taken(
    client: FlaskClient, field: str, value: Any
) -> None:
    status, body = ask(client, "POST", body={**ANA, field: value})
    assert (status, body["field"]) == (400, field)
    assert ask(client, "GET")[1]["lease"] is None


def test_nobody_without_a_token_sees_or_takes_it(client: FlaskClient) -> None:
    for method in ("POST", "GET", "PUT", "DELETE"):
        assert client.open(URL, method=method, json={}).status_code == 401
