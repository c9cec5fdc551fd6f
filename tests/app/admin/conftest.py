from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from mina_ops import MinaOps

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def make_app() -> Iterator[Callable[..., Flask]]:
    """A host with mina_ops; with `database_url` it has a Flask-SQLAlchemy object too."""
    made: list[tuple[Flask, SQLAlchemy | None]] = []

    def make(database_url: str | None = None, **config: Any) -> Flask:
        app = Flask(__name__)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        app.config.update(
            ENVIRONMENT="blue", APP_VERSION="v2.5.0", MINA_OPS_ADMIN_TOKENS={"ci": digest}
        )
        app.config.update(config)
        db = None
        if database_url is not None:
            app.config["SQLALCHEMY_DATABASE_URI"] = database_url
            db = SQLAlchemy(app)
        MinaOps(app, db=db)
        made.append((app, db))
        return app

    yield make
    for app, db in made:
        runtime = app.extensions["mina_ops"]
        runtime.context.audit.close()
        runtime.heartbeat.stop()
        runtime.store.close()
        if db is not None:
            with app.app_context():
                db.engine.dispose()
