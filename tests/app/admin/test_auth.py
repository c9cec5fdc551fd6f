"""Who may act: bearers of known tokens and admins who are logged in, from our own pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user

from mina_ops.app import settings
from mina_ops.app.admin.auth import Guard, make_guard, refuse_cross_site
from mina_ops.app.clock import Clock
from mina_ops.app.state.memory import MemoryStore
from mina_ops.errors import Forbidden, NotAuthenticated
from tests.app.admin.conftest import BEARER, TOKEN

SITE = "mina.example"


def guard(**config: Any) -> Guard:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    chosen = settings.load({"MINA_OPS_ADMIN_TOKENS": f"ci:{digest}", **config}, {})
    return make_guard(chosen, MemoryStore(), Clock())


def actor(header: str | None) -> str | None:
    token = guard().bearer(header)
    return None if token is None else token.actor


def test_a_known_token_is_named_in_what_it_does() -> None:
    assert actor(f"Bearer {TOKEN}") == "token:ci"
    assert actor(f"bearer  {TOKEN} ") == "token:ci"


@pytest.mark.parametrize("header", [None, "", "Basic abc", TOKEN])
def test_a_request_without_a_bearer_token_is_somebody_elses_matter(header: str | None) -> None:
    assert guard().bearer(header) is None


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\u00e4"])
def test_an_unknown_token_is_refused_even_where_somebody_is_logged_in(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        guard().bearer(f"Bearer {token}")


def test_the_digest_itself_is_no_token() -> None:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    with pytest.raises(NotAuthenticated):
        guard().bearer(f"Bearer {digest}")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": f"https://{SITE}"}, True),
        ({"Origin": f"https://{SITE.upper()}"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": f"https://{SITE}:8443"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": f"https://{SITE}"}, False),
    ],
)
def test_a_browser_may_write_only_from_the_same_origin(
    headers: dict[str, str], passes: bool
) -> None:
    if passes:
        refuse_cross_site(headers, SITE)
    else:
        with pytest.raises(Forbidden):
            refuse_cross_site(headers, SITE)


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name
        self.is_admin: Any = name == "admin"
        self.role = name


def _with_login(app: Flask) -> None:
    app.secret_key = "k"
    LoginManager(app).user_loader(User)

    @app.get("/login/<name>")
    def login(name: str) -> str:
        return str(login_user(User(name)))


def test_an_admin_who_is_logged_in_may_look_and_others_may_not(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()
    _with_login(app)
    for name, status in (("admin", 200), ("ana", 403)):
        client = app.test_client()
        assert client.get("/admin/audit").status_code == 401
        client.get(f"/login/{name}")
        assert client.get("/admin/audit").status_code == status


@pytest.mark.parametrize("mark", ["false", "False", "no", "0", "", "off", "nobody", None, 0, False])
def test_a_mark_that_says_no_in_whatever_form_makes_no_admin(
    make_app: Callable[..., Flask], mark: Any
) -> None:
    for config in ({}, {"MINA_OPS_IS_ADMIN": lambda user: user.is_admin}):
        app = make_app(**config)
        app.secret_key = "k"

        def load(name: str) -> User:
            user = User(name)
            user.is_admin = mark if name == "ana" else "true"
            return user

        LoginManager(app).user_loader(load)
        for name, status in (("ana", 403), ("admin", 200)):
            client = app.test_client()
            with client.session_transaction() as session:
                session["_user_id"] = name
            assert client.get("/admin/audit").status_code == status


def test_the_host_says_who_is_an_admin(make_app: Callable[..., Flask]) -> None:
    app = make_app(MINA_OPS_IS_ADMIN=lambda user: user.role == "owner")
    _with_login(app)
    for name, status in (("owner", 200), ("admin", 403)):
        client = app.test_client()
        client.get(f"/login/{name}")
        assert client.get("/admin/audit").status_code == status


def test_without_flask_login_a_token_is_the_only_way_in(make_app: Callable[..., Flask]) -> None:
    client = make_app().test_client()
    refused = client.get("/admin/audit")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="mina_ops"'
    assert client.get("/admin/audit", headers=BEARER).status_code == 200
