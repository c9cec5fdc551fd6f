from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

ADMIN = {"username": "admin", "password": "admin-password"}


def test_login_sets_the_cookie_that_the_playbook_reads(client: FlaskClient) -> None:
    answer = client.post("/api/auth/login", data=ADMIN)
    assert answer.json == {"status": "logged_in", "username": "admin", "is_admin": True}
    assert client.get_cookie("session") is not None
    assert client.get("/api/auth/me").json == {"username": "admin", "role": "admin"}


@pytest.mark.parametrize(
    "form", [{**ADMIN, "password": "wrong"}, {**ADMIN, "username": "nobody"}, {}]
)
def test_a_wrong_login_is_401_and_sets_no_cookie(client: FlaskClient, form: dict[str, str]) -> None:
    assert client.post("/api/auth/login", data=form).status_code == 401
    assert client.get_cookie("session") is None


def test_a_login_at_blue_holds_at_green(make_app: Callable[..., Flask]) -> None:
    blue, green = make_app().test_client(), make_app().test_client()
    blue.post("/api/auth/login", data=ADMIN)
    cookie = blue.get_cookie("session")
    assert cookie is not None
    green.set_cookie("session", cookie.value)
    assert green.get("/api/auth/me").json["username"] == "admin"


def test_logout_forgets(client: FlaskClient) -> None:
    client.post("/api/auth/login", data=ADMIN)
    client.post("/api/auth/logout")
    assert client.get("/api/auth/me").status_code == 401


def test_the_test_token_acts_as_the_smoke_user(bearer: FlaskClient) -> None:
    assert bearer.get("/api/auth/me").json == {"username": "smoke", "role": "user"}


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic smoke-token", ""])
def test_another_token_is_nobody(client: FlaskClient, header: str) -> None:
    answer = client.get("/api/auth/me", headers={"Authorization": header})
    assert answer.status_code == 401


def test_without_a_configured_token_no_token_works(make_app: Callable[..., Flask]) -> None:
    client = make_app(TEST_TOKEN=None).test_client()
    answer = client.get("/api/auth/me", headers={"Authorization": "Bearer None"})
    assert answer.status_code == 401
