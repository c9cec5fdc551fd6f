"""Is the database at the revision that this code needs?"""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, text

from mina_ops.app.health.checks.migrations import migrations_check
from mina_ops.app.health.model import Check, Found, Unhealthy

REVISION = """
revision = {revision!r}
down_revision = {down!r}
branch_labels = depends_on = None
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'host.db'}"


@pytest.fixture
def check(tmp_path: Path, url: str) -> Check:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    for revision, down in (("0001", None), ("0002", "0001")):
        (versions / f"{revision}.py").write_text(REVISION.format(revision=revision, down=down))
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db = SQLAlchemy(app)
    Migrate(app, db, directory=str(tmp_path / "migrations"))
    return migrations_check(app, url)


def _stamp(url: str, *revisions: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        for revision in revisions:
            connection.execute(text(f"INSERT INTO alembic_version VALUES ('{revision}')"))
    engine.dispose()


def _run(check: Check) -> Found:
    assert check.run is not None
    return check.run()


def test_a_host_without_flask_migrate_or_database_has_none(url: str) -> None:
    assert migrations_check(Flask(__name__), url).run is None


def test_the_codes_head_is_current(check: Check, url: str) -> None:
    _stamp(url, "0002")
    assert _run(check) == {"revision": "0002", "head": "0002", "ahead": False}


@pytest.mark.parametrize("at", [["0001"], []])
def test_a_database_that_was_not_upgraded_is_behind(check: Check, url: str, at: list[str]) -> None:
    _stamp(url, *at)
    with pytest.raises(Unhealthy, match="flask db upgrade") as caught:
        _run(check)
    assert caught.value.data == {"revision": at[0] if at else None, "head": "0002"}


def test_a_revision_that_only_the_next_release_knows_is_fit_for_the_old_one(
    check: Check, url: str
) -> None:
    _stamp(url, "0003")
    assert _run(check) == {"revision": "0003", "head": "0002", "ahead": True}
