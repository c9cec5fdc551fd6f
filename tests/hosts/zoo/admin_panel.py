"""Flask-Admin on /admin, where our own paths are too."""

from __future__ import annotations

from flask import Flask
from flask_admin import Admin

from tests.hosts.host import Add

PAGES = ("/", "/admin/")


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "of a test"
    Admin(app, name="panel")
    app.add_url_rule("/", "greet", lambda: "hello")
    add(app)
    return app
