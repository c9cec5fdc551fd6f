"""A host with everything of the real Mina in it; with BARE=1 without mina_ops.

DEBUG logs of every library, a SIGTERM handler that only logs, tables of `create_all`, migrations
with two heads that nobody ever ran, a limiter, a CSRF guard, a catch-all handler of errors.

DATABASE_URL   of a PostgreSQL; REDIS_URL what the workers share; LOG_FILE where it logs
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_migrate import Migrate
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect  # type: ignore[import-untyped]

from mina_ops import MinaOps

_REVISION = "revision = {0!r}\ndown_revision = None\nbranch_labels = depends_on = None\n"

logging.basicConfig(level=logging.DEBUG, filename=os.environ["LOG_FILE"])
log = logging.getLogger("mina")
db = SQLAlchemy()
socketio = SocketIO(logger=True, engineio_logger=True)


class Meeting(db.Model):  # type: ignore[misc, name-defined]
    """A meeting."""

    __tablename__ = "sessions"
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(80), nullable=False)


def _migrations() -> str:
    folder = Path(tempfile.mkdtemp(prefix="mina-like-"))
    (folder / "versions").mkdir()
    for name in ("0001", "0002"):
        (folder / "versions" / f"{name}.py").write_text(_REVISION.format(name))
    return str(folder)


def create_app() -> Flask:
    """The app; its factory runs twice on one `socketio`, as the real one's does."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="of a benchmark",
        SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"],
        SQLALCHEMY_ENGINE_OPTIONS={"echo": True},
    )
    db.init_app(app)
    Migrate(app, db, directory=_migrations())
    CSRFProtect(app)
    Limiter(_visitor, app=app, default_limits=["100 per minute"], storage_uri="memory://")
    with app.app_context():
        db.create_all()
    _serve(app)
    socketio.init_app(app, async_mode=os.environ["ASYNC_MODE"])
    if os.environ.get("BARE") != "1":
        MinaOps(app, socketio=socketio, db=db)
    return app


def _visitor() -> str:
    return request.headers.get("X-Visitor") or request.remote_addr or ""


def _serve(app: Flask) -> None:
    @app.errorhandler(Exception)
    def catch_all(error: Exception) -> ResponseReturnValue:
        return jsonify(caught=type(error).__name__), 500

    @app.get("/")
    def meetings() -> str:
        log.debug("somebody counts meetings")
        return str(db.session.query(Meeting).count())


@socketio.on("echo", namespace="/live-transcription")
def echo(message: Any) -> Any:
    """Acknowledge with what came."""
    log.debug("a chunk %s", message)
    return message


def _on_term(number: int, frame: FrameType | None) -> None:
    log.warning("SIGTERM came")


def serve() -> Flask:
    """What gunicorn serves."""
    signal.signal(signal.SIGTERM, _on_term)
    create_app()
    return create_app()
