"""A database that is reached by a creator alone; the URL leads nowhere."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from tests.hosts.host import Add

PAGES = ("/", "/one")


def build(add: Add) -> Flask:
    """The host."""
    file = Path(tempfile.mkdtemp(prefix="zoo-")) / "real.db"

    def connect() -> Any:
        return sqlite3.connect(file, check_same_thread=False)

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:////nowhere/at/all.db"
    db = SQLAlchemy(app, engine_options={"creator": connect})

    @app.get("/")
    def greet() -> str:
        return "hello"

    @app.get("/one")
    def one() -> str:
        return str(db.session.execute(text("SELECT 1")).scalar_one())

    add(app, db=db)
    return app
