"""OFREP: our answers fit its schema, and the stock provider understands them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from werkzeug.serving import make_server

from mina_ops.app.flags import Flags
from tests.app.flags.conftest import ANA, BEARER, TOKEN
from tests.support.conformance import conformance

ALL = "/ofrep/v1/evaluate/flags"
USER = {"context": {"targetingKey": "user-123", "email": "user@example.com", "plan": "premium"}}
FLAGS: list[dict[str, Any]] = [
    {"key": "plain", "enabled": True},
    {"key": "killed", "enabled": False},
    {"key": "half", "enabled": True, "rollout_percent": 50},
    {"key": "banner", "enabled": True, "variants": {"a": "hi", "b": "ho"}, "weights": {"a": 1}},
    {"key": "limit", "enabled": True, "variants": {"ten": 10}, "metadata": {"team": "audio"}},
    {"key": "ratio", "enabled": True, "variants": {"half": 0.5}},
    {"key": "layout", "enabled": True, "variants": {"wide": {"columns": 3}}},
    {"key": "no-value", "enabled": False, "variants": {"x": "y"}},
    {
        "key": "premium",
        "enabled": True,
        "rollout_percent": 0,
        "release": "v2.5.0",
        "rules": [{"conditions": [{"attribute": "plan", "operator": "in", "values": ["premium"]}]}],
    },
    {
        "key": "no-match",
        "enabled": True,
        "rules": [{"conditions": [{"attribute": "plan", "operator": "in", "values": ["free"]}]}],
    },
    {"key": "undecided", "enabled": True, "minimum_release": "v1.0.0", "on_unknown": "error"},
]


@pytest.fixture
def ofrep_app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app(MINA_OPS_OFREP=True, APP_VERSION="unknown")
    app.extensions["mina_ops"].flags.editor.load(FLAGS, ANA)
    return app


@pytest.fixture
def client(ofrep_app: Flask) -> FlaskClient:
    return ofrep_app.test_client()


@pytest.fixture(scope="module")
def fits() -> Callable[[str, Any], None]:
    """Checks a body against a schema of the protocol's OpenAPI document."""
    document = yaml.safe_load(conformance("ofrep/openapi.yaml").read_text())
    # An integer is a number too and `codeDefaultFlag` fits any body, so its `oneOf` never holds.
    kinds = document["components"]["schemas"]["evaluationSuccess"]["allOf"][1]
    kinds["anyOf"] = kinds.pop("oneOf")

    def check(name: str, body: Any) -> None:
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": f"#/components/schemas/{name}",
            "components": document["components"],
        }
        errors = [e.message for e in jsonschema_rs.validator_for(schema).iter_errors(body)]
        assert errors == []

    return check


@pytest.mark.parametrize(
    ("key", "value", "variant", "reason"),
    [
        ("plain", True, "on", "STATIC"),
        ("killed", False, "off", "DISABLED"),
        ("banner", "hi", "a", "STATIC"),
        ("limit", 10, "ten", "STATIC"),
        ("ratio", 0.5, "half", "STATIC"),
        ("layout", {"columns": 3}, "wide", "STATIC"),
        ("premium", True, "on", "TARGETING_MATCH"),
        ("no-match", True, "on", "STATIC"),  # OpenFeature's DEFAULT, which OFREP lacks
    ],
)
def test_one_flag_is_evaluated_as_the_protocol_says(
    client: FlaskClient,
    fits: Callable[[str, Any], None],
    key: str,
    value: Any,
    variant: str,
    reason: str,
) -> None:
    answer = client.post(f"{ALL}/{key}", json=USER, headers=BEARER)
    assert answer.status_code == 200
    body = answer.json
    fits("serverEvaluationSuccess", body)
    assert body is not None
    assert (body["key"], body["value"]) == (key, value)
    assert (body["variant"], body["reason"]) == (variant, reason)


def test_a_flag_with_variants_that_is_off_leaves_the_value_to_the_code(client: FlaskClient) -> None:
    body = client.post(f"{ALL}/no-value", json=USER, headers=BEARER).json
    assert body is not None
    assert "value" not in body
    assert body["reason"] == "DISABLED"


def test_an_unknown_flag_is_404_in_the_protocols_words(
    client: FlaskClient, fits: Callable[[str, Any], None]
) -> None:
    answer = client.post(f"{ALL}/missing", json=USER, headers=BEARER)
    assert answer.status_code == 404
    fits("flagNotFound", answer.json)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b'{"context": 7}', "PARSE_ERROR"),
        (b"{}", "TARGETING_KEY_MISSING"),
        (b'{"context": {"plan": "pro"}}', "TARGETING_KEY_MISSING"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
    ],
)
def test_a_context_that_cannot_be_used_is_400_in_the_protocols_words(
    client: FlaskClient, fits: Callable[[str, Any], None], body: bytes, code: str
) -> None:
    one = client.post(f"{ALL}/plain", data=body, headers=BEARER)
    every = client.post(ALL, data=body, headers=BEARER)
    assert (one.status_code, every.status_code) == (400, 400)
    fits("evaluationFailure", one.json)
    fits("bulkEvaluationFailure", every.json)
    assert one.json is not None
    assert one.json["errorCode"] == code
    assert one.json["errorDetails"]


def test_all_flags_are_evaluated_at_once_with_an_etag(
    client: FlaskClient, fits: Callable[[str, Any], None], ofrep_app: Flask
) -> None:
    answer = client.post(ALL, json=USER, headers=BEARER)
    body = answer.json
    fits("bulkEvaluationSuccess", body)
    assert body is not None
    assert {flag["key"] for flag in body["flags"]} == {flag["key"] for flag in FLAGS}
    failed = [flag for flag in body["flags"] if "errorCode" in flag]
    assert [(flag["key"], flag["errorCode"]) for flag in failed] == [("undecided", "GENERAL")]
    again = {**BEARER, "If-None-Match": answer.headers["ETag"]}
    assert client.post(ALL, json=USER, headers=again).status_code == 304
    other = {"context": {"targetingKey": "user-123", "plan": "free"}}
    assert client.post(ALL, json=other, headers=again).status_code == 200
    ofrep_app.extensions["mina_ops"].flags.editor.set("plain", {"enabled": False}, ANA)
    assert client.post(ALL, json=USER, headers=again).status_code == 200


def test_only_the_holder_of_a_token_may_ask(client: FlaskClient) -> None:
    assert client.post(f"{ALL}/plain", json=USER).status_code == 401
    assert client.post(ALL, json=USER).status_code == 401
    wrong = {"X-API-Key": "wrong"}
    assert client.post(ALL, json=USER, headers=wrong).status_code == 401
    assert client.post(ALL, json=USER, headers={"X-API-Key": TOKEN}).status_code == 200


def test_the_protocol_is_served_only_where_it_is_switched_on(app: Flask) -> None:
    assert app.test_client().post(ALL, json=USER, headers=BEARER).status_code == 404


@pytest.fixture
def provider(ofrep_app: Flask) -> Iterator[OFREPProvider]:
    server = make_server("127.0.0.1", 0, ofrep_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    made = OFREPProvider(url, headers_factory=lambda: dict(BEARER), timeout=45.0)
    api.set_provider_and_wait(made)
    yield made
    api.clear_providers()
    api.shutdown()
    made.session.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_stock_provider_resolves_every_kind_of_flag(
    provider: OFREPProvider, ofrep_app: Flask
) -> None:
    client = api.get_client()
    user = EvaluationContext("user-123", {"plan": "premium"})
    assert client.get_boolean_value("plain", False, user) is True
    assert client.get_boolean_value("killed", True, user) is False
    assert client.get_string_value("banner", "none", user) == "hi"
    assert client.get_integer_value("limit", 1, user) == 10
    assert client.get_float_value("ratio", 0.1, user) == 0.5
    assert client.get_object_value("layout", {}, user) == {"columns": 3}
    assert client.get_string_value("no-value", "code", user) == "code"
    premium = client.get_boolean_details("premium", False, user)
    assert (premium.reason, premium.variant) == ("TARGETING_MATCH", "on")
    assert premium.flag_metadata == {"release": "v2.5.0"}
    missing = client.get_boolean_details("missing", True, user)
    assert missing.error_code is not None
    assert (missing.value, missing.error_code.value) == (True, "FLAG_NOT_FOUND")
    undecided = client.get_boolean_details("undecided", True, user)
    assert undecided.error_code is not None
    assert undecided.error_code.value == "GENERAL"
    flags: Flags = ofrep_app.extensions["mina_ops"].flags
    for n in range(20):
        unit = EvaluationContext(str(n))
        assert client.get_boolean_value("half", False, unit) == flags.is_enabled("half", n)


def test_fields_that_a_later_protocol_adds_are_not_looked_at(client: FlaskClient) -> None:
    body = {**USER, "telemetry": {"session": 1}, "version": 2}
    assert client.post(f"{ALL}/plain", json=body, headers=BEARER).status_code == 200
    assert client.post(ALL, json=body, headers=BEARER).status_code == 200
