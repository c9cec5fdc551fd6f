"""Who somebody is: a login cookie for people, a bearer token for smoke tests."""

from __future__ import annotations

import hmac

from flask import Blueprint, Flask, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, login_user, logout_user
from sqlalchemy import select
from werkzeug.wrappers import Request

from mina_ops.demo.models import User, db

SMOKE_USER = "smoke"

bp = Blueprint("auth", __name__)


def init_login(app: Flask) -> None:
    """Let Flask-Login find users by session cookie and by bearer token."""
    manager = LoginManager(app)
    manager.user_loader(_by_id)
    manager.request_loader(_by_token)


def holds_test_token(token: str) -> bool:
    """True if this is the configured TEST_TOKEN; takes the same time for any wrong one."""
    expected = current_app.config["TEST_TOKEN"]
    return bool(expected) and hmac.compare_digest(token.encode(), expected.encode())


@bp.post("/api/auth/login")
def login() -> ResponseReturnValue:
    """Log in with the form fields `username` and `password`; sets the cookie `session`."""
    username = request.form.get("username", "")
    user = db.session.scalar(select(User).filter_by(username=username))
    if user is None or not user.has_password(request.form.get("password", "")):
        return jsonify(error="wrong_credentials"), 401
    login_user(user)
    return jsonify(status="logged_in", username=user.username, is_admin=user.is_admin)


@bp.post("/api/auth/logout")
def logout() -> ResponseReturnValue:
    """Forget who is logged in."""
    logout_user()
    return jsonify(status="logged_out")


@bp.get("/api/auth/me")
def me() -> ResponseReturnValue:
    """The caller's name and role; 401 for guests."""
    if not current_user.is_authenticated:
        return jsonify(error="not_authenticated"), 401
    return jsonify(username=current_user.username, role=current_user.role)


@bp.get("/login")
def login_page() -> str:
    """The login form."""
    return render_template("login.html")


def _by_id(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


def _by_token(request: Request) -> User | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not holds_test_token(token.strip()):
        return None
    return db.session.scalar(select(User).filter_by(username=SMOKE_USER))
