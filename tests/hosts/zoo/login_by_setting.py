"""Flask-Login behind a wall, and no login that curl could use: MINA_OPS_LOGIN gives one."""

from __future__ import annotations

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user

from tests.hosts.host import Add

PAGES = ("/", "/login", "/nowhere")


class Admin(UserMixin):
    """The one who may do everything."""

    id = "admin"
    is_admin = True


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    app.secret_key = "of the zoo"
    LoginManager(app).user_loader(lambda _id: Admin())
    app.config["MINA_OPS_LOGIN"] = _check

    @app.before_request
    def wall() -> ResponseReturnValue | None:
        known = request.path == "/login" or current_user.is_authenticated
        return None if known else redirect("/login")

    @app.get("/login")
    def login() -> str:
        return "a form for people"

    @app.get("/")
    def greet() -> str:
        return "hello"

    add(app)
    return app


def _check(username: str, password: str) -> Admin | None:
    return Admin() if (username, password) == ("admin", "of the zoo") else None
