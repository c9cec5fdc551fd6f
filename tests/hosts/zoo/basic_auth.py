"""Basic authentication before every page, and mina_ops added before it."""

from __future__ import annotations

from flask import Flask, Response, request

from tests.hosts.host import Add

PAGES = ("/",)


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    add(app)

    @app.before_request
    def wall() -> Response | None:
        given = request.authorization
        if given is not None and given.type == "basic" and given.password == "secret":
            return None
        return Response("who?", 401, {"WWW-Authenticate": "Basic"})

    @app.get("/")
    def greet() -> str:
        return "hello"

    return app
