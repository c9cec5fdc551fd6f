"""Everything redirects to a login page, from a `before_request` of the app."""

from __future__ import annotations

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from tests.hosts.host import Add

PAGES = ("/", "/login", "/nowhere")


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)

    @app.before_request
    def wall() -> ResponseReturnValue | None:
        return None if request.path == "/login" else redirect("/login")

    @app.get("/login")
    def login() -> str:
        return "who are you?"

    add(app)
    return app
