"""The document names every endpoint that is served, and every answer is as it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_socketio import SocketIO
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from mina_ops import MinaOps
from mina_ops.app.admin.contract import DOCUMENT_PATH as PATH
from mina_ops.app.admin.refusals import MOST_A_MINUTE
from mina_ops.app.sessions.routes import SCRIPT_PATH
from tests.app.web.openapi.documented import operations as every_operation
from tests.app.web.openapi.documented import whole
from tests.support.wait import eventually

TOKEN = "a-token-of-some-length"
METHODS = {"get", "post", "put", "patch", "delete"}


class User(UserMixin):
    id = "ana"


def _host() -> Flask:
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="k",
        ENVIRONMENT="blue",
        APP_VERSION="v2.4.5",
        MINA_OPS_OFREP=True,
        MINA_OPS_LOGIN=lambda username, password: User() if username == password else None,
        MINA_OPS_ADMIN_TOKENS={"ci": hashlib.sha256(TOKEN.encode()).hexdigest()},
    )
    LoginManager(app).user_loader(lambda _id: User())
    socketio = SocketIO(app, async_mode="threading")
    ops = MinaOps(app, socketio=socketio)
    ops.active_sessions(lambda: 3)
    return app


@pytest.fixture(scope="module")
def host() -> Iterator[Flask]:
    app = _host()
    yield app
    app.extensions["mina_ops"].heartbeat.stop()


@pytest.fixture(scope="module")
def schema(host: Flask) -> Any:
    client = host.test_client()
    eventually(lambda: client.get("/api/health/ready").status_code == 200)
    return schemathesis.openapi.from_wsgi(PATH, host)


def _documented(host: Flask) -> dict[str, Any]:
    found: dict[str, Any] = host.test_client().get(PATH).get_json()
    return found


def test_the_document_is_served_to_everyone(host: Flask) -> None:
    found = _documented(host)
    assert found["openapi"] == "3.1.0"
    # One component more or less would show here.
    assert found == whole()


def test_every_operation_has_a_name_of_its_own_and_a_tag_that_is_explained(host: Flask) -> None:
    found = _documented(host)
    operations = [one for item in found["paths"].values() for one in item.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) > 30
    assert "post_admin_flags_key_undo" in names
    explained = {tag["name"]: tag["description"] for tag in found["tags"]}
    assert {tag for one in operations for tag in one["tags"]} == set(explained)
    assert all(explained.values())


def test_every_route_that_is_served_is_in_the_document(host: Flask) -> None:
    paths = _documented(host)["paths"]
    rules = [r for r in host.url_map.iter_rules() if r.endpoint.startswith("mina_ops")]
    served = {rule.rule.replace("<", "{").replace(">", "}") for rule in rules}
    for component in host.extensions["mina_ops"].components:
        served |= {path for path in component.probes() if not path.endswith("/")}
    assert len(served) > 25
    # A script and a page for browsers are files, no part of the contract.
    assert served - set(paths) == {SCRIPT_PATH, "/mina-ops"}


def _address(path: str) -> str:
    return path.format(
        check="disk", name="transcription", key="nothing", release_id="x", token_id="0" * 12
    )


def test_every_operation_of_the_document_is_served(host: Flask) -> None:
    client = host.test_client()
    for path, operations in _documented(host)["paths"].items():
        address = _address(path)
        for method in operations:
            answer = client.open(address, method=method.upper())
            assert answer.status_code not in (405, 500), (method, path)
            assert "X-Mina-Version" in answer.headers, (method, path)
        wrong = client.open(address, method="PATCH")
        assert wrong.status_code == 405, path


def test_methods_that_the_document_lacks_are_refused_with_allow(host: Flask) -> None:
    client = host.test_client()
    for path, operations in _documented(host)["paths"].items():
        address = _address(path)
        for method in METHODS - set(operations):
            answer = client.open(address, method=method.upper())
            assert (answer.status_code, "Allow" in answer.headers) == (405, True), (method, path)


@pytest.mark.parametrize("token", [None, "wrong"])
def test_every_guarded_endpoint_refuses_who_bears_no_known_token(
    host: Flask, token: str | None
) -> None:
    client, guarded = host.test_client(), 0
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for path, operations in _documented(host)["paths"].items():
        for method, operation in operations.items():
            if "security" in operation:
                answer = client.open(
                    _address(path),
                    method=method.upper(),
                    headers=headers,
                )
                # Whoever guesses again and again is told to wait; see the tests of tokens.
                slowed = token is not None and guarded >= MOST_A_MINUTE
                assert answer.status_code == (429 if slowed else 401), (method, path)
                assert slowed or answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert answer.content_type == "application/problem+json"
                guarded += 1
    assert guarded >= 16


# A rule names a variant that the flag must have: JSON Schema cannot say so.
_RULES_BETWEEN_FIELDS = ("/admin/flags", "/admin/flags/-/import")
OPERATIONS = every_operation()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize(("who", "examples"), [("token", 12), ("nobody", 4)])
def test_every_answer_is_as_the_document_says(
    schema: Any, who: str, examples: int, method: str, path: str
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"} if who == "token" else {}

    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        response = case.call(headers=headers)
        # It overwrites the token of the call, see the test of all guarded endpoints instead.
        excluded: list[Any] = [ignored_auth]
        if response.status_code == 503:
            # The one 5xx that is documented; the status check holds it to that.
            excluded.append(not_a_server_error)
        # 412 and 429 are about the state, not about the form.
        if response.status_code in (412, 429) or path in _RULES_BETWEEN_FIELDS:
            excluded.append(positive_data_acceptance)
        case.validate_response(response, excluded_checks=excluded)

    check()
