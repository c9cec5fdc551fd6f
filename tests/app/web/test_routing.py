"""Our routes answer in our form, whatever the host does with errors."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient

from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.forms import NUMBER, TEXT, record
from mina_ops.app.web.routing import json_body, mount
from mina_ops.errors import Conflict, InvalidRequest, NotAuthenticated, StateUnavailable

_IDENTITY = {"X-Mina-Environment": "blue", "X-Mina-Version": "v1"}


def _view(error: Exception) -> Any:
    def view() -> Answer:
        raise error

    return view


@pytest.fixture
def client() -> FlaskClient:
    app = Flask(__name__)
    blueprint = Blueprint("ours", __name__)

    def echo() -> Answer:
        known = {"key": TEXT, "enabled": {"type": ["boolean", "null"]}, "n": NUMBER}
        return Answer(200, json_body(record(known, *known, closed=True)))

    mount(blueprint, "/thing", {"GET": lambda: Answer(200, {"a": 1}), "POST": echo}, _IDENTITY)
    errors = {
        "conflict": Conflict("Both colours would drain."),
        "login": NotAuthenticated("Log in."),
        "away": StateUnavailable("Away."),
        "field": InvalidRequest("Too high.", field="percent"),
        "bug": ZeroDivisionError("postgres://user:pw@host"),
    }
    for name, error in errors.items():
        mount(blueprint, f"/{name}", {"GET": _view(error)}, _IDENTITY)
    app.register_blueprint(blueprint)

    @app.errorhandler(Exception)
    def catch_all(error: Exception) -> tuple[str, int]:
        return "the host's page", 500

    return app.test_client()


def test_every_answer_names_colour_and_version_and_is_not_stored(client: FlaskClient) -> None:
    answer = client.get("/thing")
    assert answer.headers["X-Mina-Environment"] == "blue"
    assert answer.headers["X-Mina-Version"] == "v1"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_head_has_the_headers_of_get_and_no_body(client: FlaskClient) -> None:
    answer = client.head("/thing")
    assert answer.status_code == 200
    assert answer.data == b""
    assert int(answer.headers["Content-Length"]) == len(client.get("/thing").data)


def test_a_wrong_method_is_405_though_the_host_catches_every_error(client: FlaskClient) -> None:
    answer = client.delete("/thing")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.mimetype == "application/problem+json"


def test_options_tells_what_is_allowed(client: FlaskClient) -> None:
    answer = client.options("/thing")
    assert answer.status_code == 204
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/conflict", 409, "conflict"),
        ("/login", 401, "not_authenticated"),
        ("/away", 503, "state_unavailable"),
        ("/field", 400, "invalid_request"),
    ],
)
def test_an_error_of_ours_is_a_problem(
    client: FlaskClient, path: str, status: int, code: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["code"] == code
    assert answer.json["status"] == status


def test_401_says_how_to_authenticate_503_when_to_retry_400_which_field(
    client: FlaskClient,
) -> None:
    assert client.get("/login").headers["WWW-Authenticate"].startswith("Bearer")
    assert client.get("/away").headers["Retry-After"] == "1"
    assert (client.get("/field").json or {})["field"] == "percent"


def test_a_bug_shows_an_id_that_the_log_has_and_no_text(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/bug")
    assert answer.status_code == 500
    assert b"postgres" not in answer.data
    assert (answer.json or {})["correlation_id"] in caplog.text


def test_json_is_read_whatever_its_content_type_says(client: FlaskClient) -> None:
    for kind in ("application/x-www-form-urlencoded", "application/json", "text/plain"):
        answer = client.post("/thing", data='{"key": "a&b=c"}', content_type=kind)
        assert answer.json == {"key": "a&b=c"}


def test_an_empty_body_is_an_empty_object(client: FlaskClient) -> None:
    assert client.post("/thing").json == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", None),
        ("[]", None),
        ('"text"', None),
        ("[" * 100_000, None),
        ('{"keys": "x"}', "keys"),
        ('{"key": 1}', "key"),
        ('{"key": null}', "key"),
        ('{"enabled": 1}', "enabled"),
        ('{"n": true}', "n"),
    ],
)
def test_a_bad_body_is_400_with_the_fields_name(
    client: FlaskClient, body: str, field: str | None
) -> None:
    answer = client.post("/thing", data=body)
    assert answer.status_code == 400
    assert (answer.json or {}).get("field") == field


def test_a_body_that_is_too_large_is_413(client: FlaskClient) -> None:
    answer = client.post("/thing", data="x" * (1 << 20) + "x")
    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"
    assert answer.json is not None
    assert answer.json["code"] == "too_large"
