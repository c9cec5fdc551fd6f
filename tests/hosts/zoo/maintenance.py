"""A maintenance page for everything, and a handler that turns every error into its own page."""

from __future__ import annotations

from flask import Flask
from flask.typing import ResponseReturnValue

from tests.hosts.host import Add

PAGES = ("/", "/anything")


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)

    @app.before_request
    def closed() -> ResponseReturnValue:
        return "back soon", 503, {"Retry-After": "600"}

    @app.errorhandler(Exception)
    def catch_all(error: Exception) -> ResponseReturnValue:
        return f"caught {type(error).__name__}", 500

    add(app)
    return app
