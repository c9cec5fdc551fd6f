"""The login that a host without one gets by a setting: the playbook's section 3.1, option B."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, redirect
from flask_login import LoginManager, UserMixin
from flask_wtf import CSRFProtect  # type: ignore[import-untyped]

from mina_ops.app.login.attempts import MOST_FROM_ALL, MOST_FROM_ONE, Attempts
from mina_ops.errors import TooManyRequests
from tests.app.admin.conftest import BEARER
from tests.support.hosts import Hosts
from tests.support.wait import eventually

PATH = "/api/auth/login"
RIGHT = {"username": "admin", "password": "pa&ss"}
MakeApp = Callable[..., Flask]


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name
        self.is_admin = name == "admin"


def check(username: str, password: str) -> User | None:
    if username == "broken":
        raise OSError("the database is away")
    return User(username) if password == RIGHT["password"] else None


@pytest.fixture
def walled(make_app: MakeApp) -> Flask:
    """A host with a login wall and a CSRF guard, and without a login that curl could use."""
    app = make_app(MINA_OPS_LOGIN=check, SECRET_KEY="of a test")
    LoginManager(app).user_loader(User)
    CSRFProtect(app)
    app.before_request(lambda: redirect("/login"))
    return app


@pytest.mark.parametrize("kind", ["data", "json"])
def test_a_password_gives_the_hosts_own_session(make_app: MakeApp, kind: str) -> None:
    app = make_app(MINA_OPS_LOGIN=check, SECRET_KEY="of a test")
    LoginManager(app).user_loader(User)
    client = app.test_client()
    answer = client.post(PATH, **{kind: RIGHT})  # type: ignore[arg-type]
    assert (answer.status_code, answer.json) == (200, {"status": "logged_in", "user": "admin"})
    assert client.post("/admin/drain", json={"grace_seconds": 1}).status_code == 202


def test_it_stands_below_the_hosts_walls(walled: Flask) -> None:
    answer = walled.test_client().post(PATH, data=RIGHT)
    assert (answer.status_code, "session=" in answer.headers["Set-Cookie"]) == (200, True)


@pytest.mark.parametrize(
    ("sent", "status", "field"),
    [
        ({"data": {**RIGHT, "password": "wrong"}}, 401, None),
        ({"data": {"username": "admin"}}, 400, "password"),
        ({"data": {**RIGHT, "username": ""}}, 400, "username"),
        ({"json": {**RIGHT, "username": 5}}, 400, "username"),
        ({"data": b"\xff"}, 400, None),
        ({"data": b"{"}, 400, None),
        ({"data": b"x" * 5000}, 413, None),
        ({"data": RIGHT, "headers": {"Origin": "https://evil.example"}}, 403, None),
        ({"data": {**RIGHT, "username": "broken"}}, 503, None),
    ],
)
def test_what_is_wrong_gets_a_problem_and_no_session(
    walled: Flask, sent: dict[str, Any], status: int, field: str | None
) -> None:
    answer = walled.test_client().post(PATH, **sent)
    assert (answer.status_code, (answer.json or {}).get("field")) == (status, field)
    assert "Set-Cookie" not in answer.headers
    assert "away" not in answer.get_data(as_text=True)


def test_who_guesses_is_held_up_and_who_is_right_never(walled: Flask) -> None:
    client = walled.test_client()
    for _ in range(MOST_FROM_ONE + 2):
        assert client.post(PATH, data=RIGHT).status_code == 200
    for _ in range(MOST_FROM_ONE):
        assert client.post(PATH, data={**RIGHT, "password": "guess"}).status_code == 401
    held = client.post(PATH, data=RIGHT)
    assert (held.status_code, int(held.headers["Retry-After"]) > 0) == (429, True)
    elsewhere = client.post(PATH, data=RIGHT, environ_base={"REMOTE_ADDR": "10.0.0.7"})
    assert elsewhere.status_code == 200


def test_a_failed_login_is_counted_and_a_right_one_is_not(walled: Flask) -> None:
    client = walled.test_client()
    for password in ("wrong", "wrong", RIGHT["password"]):
        client.post(PATH, data={"username": "admin", "password": password})
    counted = r'mina_refused_total\{[^}]*reason="login"[^}]*\} 2\.0'
    eventually(lambda: re.search(counted, client.get("/metrics").text), 20, "two are counted")


def test_tries_from_many_addresses_are_bounded_together_and_forgotten_after_a_minute() -> None:
    now = [1000.0]
    attempts = Attempts(lambda: now[0])
    for number in range(MOST_FROM_ALL):
        attempts.begin(f"10.0.0.{number}")
    with pytest.raises(TooManyRequests) as refused:
        attempts.begin("10.1.0.1")
    assert refused.value.retry_after_seconds == 60
    now[0] += 60
    attempts.begin("10.1.0.1")()


def test_a_host_keeps_a_login_of_its_own(make_app: MakeApp) -> None:
    app = make_app(MINA_OPS_LOGIN=check, SECRET_KEY="of a test")
    app.add_url_rule(PATH, "own", lambda: "the host's", methods=["POST"])
    assert app.test_client().post(PATH, data=RIGHT).text == "the host's"
    clashes = app.test_client().get("/admin/clashes", headers=BEARER).json["clashes"]
    assert {(c["path"], c["answered_by"]) for c in clashes} == {(PATH, "host")}


@pytest.mark.parametrize(
    ("config", "said"),
    [({}, "Flask-Login"), ({"SECRET_KEY": None, "login": True}, "SECRET_KEY")],
)
def test_a_host_that_cannot_log_anybody_in_is_told_what_is_missing(
    make_app: MakeApp, config: dict[str, Any], said: str
) -> None:
    app = make_app(MINA_OPS_LOGIN=check)
    if config.pop("login", False):
        LoginManager(app)
    answer = app.test_client().post(PATH, data=RIGHT)
    assert (answer.status_code, said in answer.json["detail"]) == (403, True)


@pytest.mark.parametrize(
    ("config", "own", "listed", "said"),
    [
        ({"MINA_OPS_LOGIN": check}, False, True, ""),
        ({}, False, False, "MINA_OPS_LOGIN"),
        ({}, True, False, "host's own"),
    ],
)
def test_the_document_says_how_to_log_in(
    make_app: MakeApp, config: dict[str, Any], own: bool, listed: bool, said: str
) -> None:
    app = make_app(**config)
    if own:
        app.add_url_rule(PATH, "own", lambda: "", methods=["POST"])
    document = app.test_client().get("/admin/openapi.json").json
    assert (PATH in document["paths"]) == listed
    assert said in document["info"]["description"]
    if not config and not own:
        assert app.test_client().post(PATH, data=RIGHT).status_code == 404


@pytest.mark.integration
@pytest.mark.parametrize("worker", ["gthread", "gevent", "eventlet"])
def test_the_playbooks_option_b_runs_as_it_is_typed(worker: str, start_host: Hosts) -> None:
    host = start_host(
        "tests.hosts.serve:app", worker=worker, environment={"ZOO_HOST": "login_by_setting"}
    )
    script = r"""
SESSION_COOKIE=$(curl -sX POST $URL/api/auth/login \
  -d "username=$ADMIN_USER&password=$ADMIN_PASS" \
  -c - | grep session | awk '{print $7}')
curl -sX POST $URL/admin/drain \
  -b "session=$SESSION_COOKIE"
"""
    variables = {"URL": host.url, "ADMIN_USER": "admin", "ADMIN_PASS": "of the zoo"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert '"state": "draining"' in done.stdout, done.stdout + done.stderr
