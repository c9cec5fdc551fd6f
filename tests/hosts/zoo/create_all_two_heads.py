"""Tables made by `create_all`, migrations with two heads that nobody ever ran."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from tests.hosts.host import Add

PAGES = ("/", "/users")
_REVISION = "revision = {0!r}\ndown_revision = None\nbranch_labels = depends_on = None\n"


def build(add: Add) -> Flask:
    """The host."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'host.db'}"
    db = SQLAlchemy(app)
    (folder / "versions").mkdir()
    for name in ("0001", "0002"):
        (folder / "versions" / f"{name}.py").write_text(_REVISION.format(name))
    Migrate(app, db, directory=str(folder))

    class User(db.Model):  # type: ignore[misc, name-defined]
        id = db.Column(db.Integer, primary_key=True)

    with app.app_context():
        db.create_all()

    @app.get("/")
    def greet() -> str:
        return "hello"

    @app.get("/users")
    def users() -> str:
        return str(db.session.query(User).count())

    add(app, db=db)
    return app
