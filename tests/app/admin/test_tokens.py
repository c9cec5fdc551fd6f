"""Tokens that admins make: what each may do, when it ends, and what is left of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from mina_ops.app.admin.refusals import MOST_A_MINUTE
from mina_ops.app.state import keys
from mina_ops.errors import ConfigurationError
from tests.app.admin.conftest import BEARER, TOKEN
from tests.support.wait import eventually

URL = "/admin/tokens"
SCOPES = ("admin", "read", "drain", "flags")
Make = Callable[..., Flask]


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture
def app(make_app: Make) -> Flask:
    named = {f"MINA_OPS_{scope.upper()}_TOKENS": {scope: digest(scope)} for scope in SCOPES[1:]}
    return make_app(SECRET_KEY="k", MINA_OPS_OFREP=True, **named)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def make(client: FlaskClient, name: str = "ci", **more: Any) -> dict[str, Any]:
    body = {"name": name, "scopes": ["admin"], **more}
    answer = client.post(URL, json=body, headers=BEARER)
    assert answer.status_code == 201, answer.get_json()
    made: dict[str, Any] = answer.get_json()
    return made


def status(client: FlaskClient, secret: str, method: str = "GET", path: str = URL) -> int:
    return client.open(path, method=method, json={}, headers=bearer(secret)).status_code


# For each kind of act: the method, the path, and which scopes may do it.
ACTS = [
    ("GET", "/admin/audit", {"admin", "read"}),
    ("GET", "/admin/releases", {"admin", "read"}),
    ("GET", "/admin/freeze", {"admin", "read"}),
    ("PUT", "/admin/freeze", {"admin"}),
    ("DELETE", "/admin/freeze", {"admin"}),
    ("GET", "/admin/tokens", {"admin", "read"}),
    ("GET", "/mina-ops/data", {"admin", "read"}),
    ("GET", "/admin/clashes", {"admin", "read"}),
    ("GET", "/admin/leases/traffic", {"admin", "read"}),
    ("GET", "/admin/drain", {"admin", "read", "drain"}),
    ("DELETE", "/admin/drain", {"admin", "drain"}),
    ("POST", "/admin/drain", {"admin", "drain"}),
    ("GET", "/admin/flags", {"admin", "read", "flags"}),
    ("POST", "/admin/flags", {"admin", "flags"}),
    ("DELETE", "/admin/flags/x", {"admin", "flags"}),
    ("POST", "/admin/flags/-/recover", {"admin", "flags"}),
    ("POST", "/ofrep/v1/evaluate/flags", {"admin", "read", "flags"}),
    ("POST", "/admin/tokens", {"admin"}),
    ("DELETE", "/admin/tokens/0123456789ab", {"admin"}),
    ("POST", "/admin/tokens/0123456789ab/rotate", {"admin"}),
    ("POST", "/admin/leases/traffic", {"admin"}),
    ("DELETE", "/admin/leases/traffic", {"admin"}),
    ("PUT", "/admin/releases/r1", {"admin"}),
    ("POST", "/mina-ops/act", {"admin"}),
]


@pytest.mark.parametrize(("method", "path", "may"), ACTS)
def test_a_token_may_do_what_its_scope_says_and_nothing_else(
    client: FlaskClient, method: str, path: str, may: set[str]
) -> None:
    for scope in SCOPES:
        secret = TOKEN if scope == "admin" else scope
        found = status(client, secret, method, path)
        assert (found != 403) == (scope in may), (scope, found)
        assert found != 401


def test_every_admin_endpoint_is_in_that_table(client: FlaskClient) -> None:
    paths = client.get("/admin/openapi.json", headers=BEARER).get_json()["paths"]
    parts = {"/".join(path.split("/")[:3]) for path in paths if path.startswith("/admin/")}
    told = {"/".join(path.split("/")[:3]) for _, path, _ in ACTS}
    assert parts - told == {"/admin/openapi.json"}


def test_a_token_is_made_used_listed_and_revoked(client: FlaskClient) -> None:
    made = make(client, "ana", scopes=["drain", "flags"], expires_seconds=3600)
    secret, token_id = made["token"], made["made"]["id"]
    assert status(client, secret, path="/admin/drain") == 200
    assert status(client, secret, path="/admin/flags") == 200
    assert status(client, secret, path="/admin/audit") == 403
    [listed] = [one for one in tokens(client) if one["name"] == "ana"]
    assert listed["scopes"] == ["drain", "flags"]
    assert (listed["id"], listed["state"], listed["created_by"]) == (token_id, "valid", "token:ci")
    assert listed["expires_at"] - listed["created_at"] == 3600
    assert listed["last_used_at"] >= listed["created_at"]
    answer = client.delete(f"{URL}/{token_id}", headers=BEARER)
    assert (answer.status_code, answer.get_json()["state"]) == (200, "revoked")
    refused = client.get("/admin/drain", headers=bearer(secret))
    assert (refused.status_code, refused.get_json()["detail"]) == (
        401,
        "This bearer token is revoked.",
    )


def tokens(client: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(URL, headers=BEARER).get_json()["tokens"]
    return found


def test_neither_a_secret_nor_its_digest_is_shown_or_kept_anywhere_else(
    app: Flask, client: FlaskClient
) -> None:
    made = make(client, "ana")
    shown = json.dumps([tokens(client), client.get("/admin/audit", headers=BEARER).get_json()])
    register = app.extensions["mina_ops"].store.read_register(keys.TOKENS)
    stored = b"".join(register.entries.values()).decode()
    assert made["token"] not in shown + stored
    assert digest(made["token"]) not in shown
    assert digest(made["token"]) in stored


def test_every_change_is_in_the_audit_log(client: FlaskClient) -> None:
    first = make(client, "ana")["made"]["id"]
    second = client.post(f"{URL}/{first}/rotate", headers=BEARER).get_json()["made"]["id"]
    client.delete(f"{URL}/{second}", headers=BEARER)
    entries = client.get("/admin/audit", headers=BEARER).get_json()["entries"]
    assert [(e["action"], e["actor"], e["subject"]) for e in entries] == [
        (f"token.{what}", "token:ci", "ana") for what in ("revoke", "rotate", "create")
    ]


def test_a_rotation_leaves_no_gap_and_the_old_token_ends(app: Flask, client: FlaskClient) -> None:
    old = make(client, "ana", scopes=["read"])
    answer = client.post(
        f"{URL}/{old['made']['id']}/rotate", json={"overlap_seconds": 600}, headers=BEARER
    )
    new = answer.get_json()
    assert (answer.status_code, new["made"]["scopes"]) == (201, ["read"])
    assert [status(client, one["token"]) for one in (old, new)] == [200, 200]
    clock = app.extensions["mina_ops"].context.clock
    clock.follow(clock.now() + 601)  # ten minutes later
    assert [status(client, one["token"]) for one in (old, new)] == [401, 200]


def test_an_expired_token_is_refused_and_says_so(app: Flask, client: FlaskClient) -> None:
    secret = make(client, expires_seconds=60)["token"]
    clock = app.extensions["mina_ops"].context.clock
    clock.follow(clock.now() + 61)
    refused = client.get(URL, headers=bearer(secret))
    assert refused.status_code == 401
    assert refused.get_json()["detail"] == "This bearer token is expired."


def test_a_console_session_ends_with_its_token(client: FlaskClient) -> None:
    made = make(client, "ana", scopes=["read"])
    entered = client.post("/mina-ops/session", json={"token": made["token"]})
    assert entered.status_code == 200
    assert client.get("/mina-ops/data").get_json()["viewer"]["may_act"] is False
    client.delete(f"{URL}/{made['made']['id']}", headers=BEARER)
    assert client.get("/mina-ops/data").status_code == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 65),
        ("name", "\x1b[2J"),
        ("scopes", []),
        ("scopes", ["root"]),
        ("expires_seconds", 59),
        ("expires_seconds", 1e12),
        ("expires_seconds", float("nan")),
        ("digest", "0" * 64),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_made(
    client: FlaskClient, field: str, value: Any
) -> None:
    body = {"name": "ana", "scopes": ["read"], field: value}
    answer = client.post(URL, json=body, headers=BEARER)
    assert answer.status_code == 400
    assert answer.get_json()["field"].startswith(field)
    assert [one["name"] for one in tokens(client) if not one["fixed"]] == []


def test_two_valid_tokens_of_one_name_come_from_a_rotation_only(client: FlaskClient) -> None:
    make(client, "ana")
    answer = client.post(URL, json={"name": "ana", "scopes": ["read"]}, headers=BEARER)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")


def test_a_token_of_the_settings_is_ended_there(client: FlaskClient) -> None:
    [fixed] = [one for one in tokens(client) if one["name"] == "read"]
    for method, path in (("DELETE", ""), ("POST", "/rotate")):
        answer = client.open(f"{URL}/{fixed['id']}{path}", method=method, headers=BEARER)
        assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")
    unknown = client.delete(f"{URL}/0123456789ab", headers=BEARER)
    assert unknown.status_code == 404
    assert client.delete(f"{URL}/..", headers=BEARER).status_code in (400, 404)


@pytest.fixture
def two_processes(make_app: Make, redis_url: str) -> tuple[FlaskClient, FlaskClient]:
    apps = [make_app(REDIS_URL=redis_url, ENVIRONMENT=colour) for colour in ("blue", "green")]
    return apps[0].test_client(), apps[1].test_client()


@pytest.mark.integration
def test_another_process_knows_a_token_at_its_first_use_and_its_end_within_a_beat(
    two_processes: tuple[FlaskClient, FlaskClient],
) -> None:
    here, there = two_processes
    assert status(there, "nobody") == 401  # it looked at the store just now
    made = make(here, "ana")
    eventually(lambda: status(there, made["token"]) == 200, timeout=3)
    here.delete(f"{URL}/{made['made']['id']}", headers=BEARER)
    eventually(lambda: status(there, made["token"]) == 401, timeout=5)


@pytest.mark.integration
def test_a_store_that_was_emptied_ends_no_token(make_app: Make, redis_url: str) -> None:

    app = make_app(REDIS_URL=redis_url)
    client = app.test_client()
    kept = make(client, "ana")["token"]
    runtime = app.extensions["mina_ops"]
    beats = runtime.heartbeat.beats
    with redis.Redis.from_url(redis_url) as server:
        server.flushdb()
    eventually(lambda: runtime.heartbeat.beats > beats + 2, timeout=10)
    assert status(client, kept) == 200
    make(client, "ben")  # writes back what this process knew
    entries = runtime.store.read_register(keys.TOKENS).entries.values()
    assert sorted(json.loads(raw)["name"] for raw in entries) == ["ana", "ben"]


@pytest.mark.integration
def test_a_store_that_is_emptied_between_two_questions_ends_no_token(
    make_app: Make, redis_url: str
) -> None:
    app = make_app(REDIS_URL=redis_url)
    client = app.test_client()
    kept = make(client, "ana")["token"]
    runtime = app.extensions["mina_ops"]
    before = runtime.store.read_version(keys.TOKENS)
    with redis.Redis.from_url(redis_url) as server:
        server.flushdb()
    # As a beat does that read the version a moment before, and a newer one than it knew.
    runtime.context.guard.tokens.refresh((before[0], before[1] + 1))
    assert status(client, kept) == 200


def test_a_flood_of_wrong_tokens_is_slowed_and_a_right_one_still_passes(
    client: FlaskClient,
) -> None:
    found = [status(client, f"guess-{i}") for i in range(MOST_A_MINUTE + 5)]
    assert found == [401] * MOST_A_MINUTE + [429] * 5
    slowed = client.get(URL, headers=bearer("guess"))
    assert 1 <= int(slowed.headers["Retry-After"]) <= 60
    assert status(client, TOKEN) == 200
    elsewhere = client.get(
        URL, headers={**bearer("guess"), "X-Forwarded-For": "1.2.3.4, 192.0.2.7"}
    )
    assert elsewhere.status_code == 401


def test_refusals_are_counted_and_told_apart_from_changes(app: Flask, client: FlaskClient) -> None:
    runtime = app.extensions["mina_ops"]
    for _ in range(3):
        status(client, "guess")
    status(client, "drain", path="/admin/audit")
    client.post("/mina-ops/session", json={"token": "guess"})
    client.get(URL)  # a visitor without a token is no failed login
    [routes] = [one for one in runtime.components if one.name == "admin.tokens"]
    routes.beat(0.0)
    runtime.metrics.flush(runtime.context.clock.now())
    text = client.get("/metrics").get_data(as_text=True)
    assert (
        'mina_refused_total{environment="blue",reason="token_scope",version="v2.5.0"} 1.0' in text
    )
    assert (
        'mina_refused_total{environment="blue",reason="unknown_token",version="v2.5.0"} 4.0' in text
    )
    [entry] = client.get("/admin/audit", headers=BEARER).get_json()["entries"]
    assert (entry["actor"], entry["action"]) == ("anonymous", "access.refused")
    assert entry["after"] == {
        "times": 5,
        "reasons": {"unknown_token": 4, "token_scope": 1},
        "addresses": {"127.0.0.1": 5},
    }
    for _ in range(100):
        status(client, "guess")
        routes.beat(0.0)
    entries = client.get("/admin/audit", headers=BEARER).get_json()["entries"]
    assert len(entries) == 1, "further ones are told together, a minute later"
    assert runtime.context.audit.newest(10) == [], "what the console shows are changes"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer  ", "bearer \t"])
def test_the_digest_of_nothing_lets_nobody_in(make_app: Make, header: str) -> None:
    with pytest.raises(ConfigurationError, match="MINA_OPS_ADMIN_TOKENS"):
        make_app(MINA_OPS_ADMIN_TOKENS={"ci": digest("")})
    client = make_app().test_client()
    assert client.get(URL, headers={"Authorization": header}).status_code == 401
