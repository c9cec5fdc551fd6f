"""Flags on hosts that change our entity tags, or cannot look their own users up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, Response, render_template_string, session
from flask_login import LoginManager, UserMixin

from mina_ops import MinaOps

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def app() -> Iterator[Flask]:
    found = Flask("host")
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    found.config.update(SECRET_KEY="k", MINA_OPS_ADMIN_TOKENS={"ci": digest})
    MinaOps(found)
    yield found
    found.extensions["mina_ops"].close()


@pytest.mark.parametrize(
    "mark",
    [
        lambda tag: tag[:-1] + ':gzip"',
        lambda tag: tag[:-1] + '-gzip"',
        lambda tag: tag[:-1] + ';br"',
        lambda tag: "W/" + tag,
        lambda tag: "W/" + tag[:-1] + '-df"',
    ],
)
def test_a_tag_that_compression_marked_still_names_the_revision(
    app: Flask, mark: Callable[[str], str]
) -> None:
    client = app.test_client()
    client.post("/admin/flags", json={"key": "x", "enabled": True}, headers=BEARER)
    tag = client.get("/admin/flags/x", headers=BEARER).headers["ETag"]
    body = {"key": "x", "rollout_percent": 10}
    headers = {**BEARER, "If-Match": mark(tag)}
    assert client.post("/admin/flags", json=body, headers=headers).status_code == 200
    assert client.post("/admin/flags", json=body, headers=headers).status_code == 412


def test_the_revision_is_in_the_body_too(app: Flask) -> None:
    client = app.test_client()
    client.post("/admin/flags", json={"key": "x", "enabled": True}, headers=BEARER)
    found = client.get("/admin/flags/x", headers=BEARER)
    assert found.json is not None
    assert found.headers["ETag"] == f'"{found.json["revision"]}"'


class _User(UserMixin):
    id = "12345"
    is_admin = True


def _with_logins(app: Flask, load: Callable[[str], _User]) -> None:
    # Its own context processor would ask for the user in every template, with mina_ops or without.
    LoginManager(app, add_context_processor=False).user_loader(load)

    @app.get("/in")
    def enter() -> Response:
        session["_user_id"] = "12345"
        session["_fresh"] = True
        return Response("in")

    @app.get("/page")
    def page() -> str:
        return render_template_string("{{ flag('x') }}")


def test_flags_go_by_the_session_while_the_hosts_database_is_away(app: Flask) -> None:
    def away(key: str) -> _User:
        raise RuntimeError("connection refused")

    _with_logins(app, away)
    client = app.test_client()
    body = {"key": "x", "enabled": True, "rollout_percent": 0, "allow": ["12345"]}
    assert client.post("/admin/flags", json=body, headers=BEARER).status_code == 201
    client.get("/in")
    flags = client.get("/api/flags")
    assert (flags.status_code, flags.json["flags"]) == (200, {"x": True})  # type: ignore[index]
    assert client.get("/page").text == "True"
    refused = client.get("/admin/flags")
    assert refused.status_code == 503
    assert refused.json["code"] == "user_unavailable"  # type: ignore[index]
    assert refused.headers["Retry-After"]
