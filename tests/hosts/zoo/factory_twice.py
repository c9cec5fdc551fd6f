"""A factory that is called twice on one global `socketio` and one global `db`."""

from __future__ import annotations

import os

from flask import Flask
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy

from tests.hosts.host import Add

PAGES = ("/",)


def build(add: Add) -> Flask:
    """The second of two apps."""
    socketio, db = SocketIO(), SQLAlchemy()

    def create_app() -> Flask:
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        db.init_app(app)
        app.add_url_rule("/", "greet", lambda: "hello")
        socketio.init_app(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
        add(app, socketio=socketio, db=db)
        return app

    create_app()
    return create_app()
