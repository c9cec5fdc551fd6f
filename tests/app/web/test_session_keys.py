"""A cookie that an earlier key signed is good, whatever Flask runs; the newest key signs."""

from __future__ import annotations

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface

from mina_ops import MinaOps


def app(key: str, *earlier: str, interface: SessionInterface | None = None) -> Flask:
    made = Flask(__name__)
    made.config.update(SECRET_KEY=key, SECRET_KEY_FALLBACKS=list(earlier))
    if interface is not None:
        made.session_interface = interface
    MinaOps(made)

    @made.get("/login")
    def login() -> str:
        session["user"] = "ana"
        return ""

    @made.get("/me")
    def me() -> str:
        return str(session.get("user"))

    return made


def cookie(of: Flask) -> str:
    return of.test_client().get("/login").headers["Set-Cookie"].partition(";")[0]


def who(of: Flask, bearing: str) -> str:
    return of.test_client(use_cookies=False).get("/me", headers={"Cookie": bearing}).text


class Own(SecureCookieSessionInterface):
    salt = "own"


@pytest.mark.parametrize("interface", [None, Own()], ids=["flask", "own"])
def test_rotation_keeps_sessions_and_the_new_key_signs(interface: SessionInterface | None) -> None:
    old = app("old", interface=interface)
    new = app("new", "old", "older", interface=interface)
    assert who(new, cookie(old)) == "ana"
    assert who(app("new", interface=interface), cookie(new)) == "ana", "the newest key signs"
    assert who(old, cookie(new)) == "None"
    assert who(new, cookie(app("stolen", interface=interface))) == "None"


def test_another_app_keeps_its_own_interface() -> None:
    app("new", "old")
    assert type(Flask("other").session_interface) is SecureCookieSessionInterface
