"""Flask-Talisman with its defaults: redirects to https, a strict policy."""

from __future__ import annotations

from flask import Flask
from flask_talisman import Talisman  # type: ignore[import-untyped]

from tests.hosts.host import Add

PAGES = ("/",)


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    Talisman(app)

    @app.get("/")
    def greet() -> str:
        return "hello"

    add(app)
    return app
