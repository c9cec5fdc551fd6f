"""Flask-Limiter at five requests a minute, Flask-WTF's CSRF guard for everything."""

from __future__ import annotations

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect  # type: ignore[import-untyped]

from tests.hosts.host import Add

PAGES = ("/",)


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "of a test"
    CSRFProtect(app)
    Limiter(get_remote_address, app=app, default_limits=["5 per minute"], storage_uri="memory://")

    @app.get("/")
    def greet() -> str:
        return "hello"

    @app.post("/form")
    def form() -> str:
        return request.form["text"]

    add(app)
    return app
