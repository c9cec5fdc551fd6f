"""SERVER_NAME and TRUSTED_HOSTS of the public name, while probes ask by address."""

from __future__ import annotations

from flask import Flask

from tests.hosts.host import Add

PAGES = ("/",)


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    app.config.update(SERVER_NAME="mina.example", TRUSTED_HOSTS=["mina.example"])

    @app.get("/")
    def greet() -> str:
        return "hello"

    add(app)
    return app
