"""A host as the real Mina is: what stands in its factory once stood in the way of something.

The factory runs twice on one global `socketio`, as when a module makes the app that gunicorn serves
and another one makes it again for its scripts.

DATABASE_URL   without it there is no database and no LoginManager
"""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, login_user
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect  # type: ignore[import-untyped]

from mina_ops import MinaOps
from tests.support.own_sigterm import install_sigterm_handler

NAMESPACES = (
    "/dashboard",
    "/tasks",
    "/analytics",
    "/meetings",
    "/transcription",
    "/live-transcription",
)
POLICY = "script-src 'nonce-abc'"

db = SQLAlchemy()
socketio = SocketIO()
csrf = CSRFProtect()
limiter = Limiter(lambda: _visitor(), default_limits=["100 per minute"], storage_uri="memory://")


class User(UserMixin, db.Model):  # type: ignore[misc, name-defined]
    """Somebody with a role; both of these may administrate."""

    __tablename__ = "users"
    id = db.Column(db.Integer, primary_key=True)
    role = db.Column(db.String(20), nullable=False)

    @property
    def is_admin(self) -> bool:
        """Whether the role is one of those."""
        return self.role in ("admin", "owner")


class FeatureFlag(db.Model):  # type: ignore[misc, name-defined]
    """The host's own flags, in a table of a likely name."""

    __tablename__ = "feature_flags"
    key = db.Column(db.String(80), primary_key=True)
    enabled = db.Column(db.Boolean, nullable=False)


def _visitor() -> str:
    """The address, as at Mina; all tests have one, so each may give itself a name."""
    return request.headers.get("X-Visitor") or get_remote_address()


def create_app() -> Flask:
    """The app, with everything of Mina's that mina_ops has to live with."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY="of a test", SESSION_COOKIE_SECURE=True)
    _add_guards(app)
    _add_routes(app)
    socketio.init_app(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
    url = os.environ.get("DATABASE_URL")
    if url:
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        db.init_app(app)
        LoginManager(app).user_loader(lambda key: db.session.get(User, int(key)))
        with app.app_context():
            db.create_all()
    MinaOps(app, socketio=socketio, db=db if url else None)
    return app


def _add_guards(app: Flask) -> None:
    csrf.init_app(app)
    limiter.init_app(app)

    @app.errorhandler(Exception)
    def catch_all(error: Exception) -> ResponseReturnValue:
        return jsonify(caught=type(error).__name__), 500

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        return response


def _add_routes(app: Flask) -> None:
    app.add_url_rule("/", "greet", lambda: "hello")
    for name in ("ops", "flags", "health", "metrics"):
        blueprint = Blueprint(name, __name__, url_prefix=f"/own/{name}")
        blueprint.add_url_rule("/", "index", lambda name=name: f"the host's {name}")
        app.register_blueprint(blueprint)

    @app.get("/enter/<role>")
    def enter(role: str) -> str:
        user = User(role=role)
        db.session.add(user)
        db.session.commit()
        login_user(user)
        return "in"

    @app.post("/form")
    def form() -> str:
        return request.form["text"]


def echo(message: Any) -> Any:
    """Acknowledge with what came."""
    return message


def serve() -> Flask:
    """What gunicorn serves: the second app of the one `socketio`."""
    install_sigterm_handler()
    for namespace in NAMESPACES:
        socketio.on_event("echo", echo, namespace=namespace)
    create_app()
    return create_app()
