"""Outcomes and active sessions by settings: the host calls nothing of ours."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from flask import Flask
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from tests.hosts.host import Add

PAGES = ("/", "/finalize")


def build(add: Add) -> Flask:
    """The host."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'host.db'}",
        MINA_OPS_OUTCOMES={"transcription": "POST /finalize", "ai_insights": "emit insights"},
        MINA_OPS_ACTIVE_SESSIONS="SELECT count(*) FROM sessions",
    )
    db = SQLAlchemy(app)
    socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
    with app.app_context():
        db.session.execute(text("CREATE TABLE sessions (id INTEGER)"))
        db.session.commit()

    @app.get("/")
    def greet() -> str:
        return "hello"

    @app.post("/finalize")
    def finalize() -> str:
        socketio.emit("insights", {})
        return "done"

    add(app, socketio=socketio, db=db)
    return app
