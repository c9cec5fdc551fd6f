"""Is the database at the revision that this code needs, and what to type if it is not?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, text

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.database.finding import source_of
from mina_ops.app.health.checks.migrations import migrations_check
from mina_ops.app.health.model import Check, Found, Unhealthy, Warned
from mina_ops.app.native import Native
from mina_ops.app.settings import load

ENV = """
from alembic import context
from flask import current_app
with current_app.extensions["migrate"].db.engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
revision = {revision!r}
down_revision = {down!r}
branch_labels = depends_on = None
def upgrade(): pass
def downgrade(): pass
"""
TEMPLATE = """
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = depends_on = None
def upgrade(): pass
def downgrade(): pass
"""
LINE: dict[str, str | None] = {"0001": None, "0002": "0001"}
TWO_HEADS: dict[str, str | None] = {**LINE, "0003": "0001"}


class HostOf:
    """A host with migrations, and its database."""

    def __init__(self, folder: Path, url: str, revisions: dict[str, str | None]) -> None:
        self.folder = folder / "migrations"
        self.app = Flask(__name__)
        self.app.config["SQLALCHEMY_DATABASE_URI"] = url
        self.db = SQLAlchemy(self.app)
        self.url = url
        for revision, down in revisions.items():
            self.add(revision, down)

    def add(self, revision: str, down: str | None) -> None:
        """Write a revision down."""
        versions = self.folder / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        (self.folder / "env.py").write_text(ENV)
        (self.folder / "script.py.mako").write_text(TEMPLATE)
        (self.folder / "alembic.ini").write_text("[alembic]\n")
        (versions / f"{revision}.py").write_text(REVISION.format(revision=revision, down=down))

    def check(self, **options: Any) -> Check:
        """The check of this host; options are Flask-Migrate's."""
        Migrate(self.app, self.db, directory=str(self.folder), **options)
        own = OwnConnection(source_of(self.app, load({}, {}), self.db, Native()))
        return migrations_check(self.app, own, interval_seconds=5)

    def run(self, *statements: str) -> None:
        """Change the database."""
        engine = create_engine(self.url)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def stamp(self, *revisions: str, table: str = "alembic_version") -> None:
        """What Alembic leaves."""
        self.run(f"CREATE TABLE {table} (version_num VARCHAR(32))")
        self.run(*(f"INSERT INTO {table} VALUES ('{revision}')" for revision in revisions))

    def type_in(self, command: str) -> None:
        """Type a command that begins `flask`."""
        program, *arguments = shlex.split(command)
        assert program == "flask"
        done = self.app.test_cli_runner().invoke(self.app.cli, arguments)
        assert done.exit_code == 0, done.output


@pytest.fixture
def host(tmp_path: Path) -> HostOf:
    return HostOf(tmp_path, f"sqlite:///{tmp_path / 'host.db'}", LINE)


def _run(check: Check) -> Found:
    assert check.run is not None
    return check.run()


def _advice(fault: Exception) -> list[str]:
    return [part for part in str(fault).split("`")[1::2] if part.startswith("flask")]


def test_a_host_without_flask_migrate_or_database_has_none() -> None:
    app = Flask(__name__)
    assert migrations_check(app, OwnConnection(lambda: None), interval_seconds=5).run is None


def test_the_codes_head_is_current(host: HostOf) -> None:
    host.stamp("0002")
    assert _run(host.check()) == {"revision": "0002", "head": "0002", "ahead": False}


@pytest.mark.parametrize("at", [["0001"], []])
def test_a_database_that_was_not_upgraded_is_behind_until_the_advice_is_typed(
    host: HostOf, at: list[str]
) -> None:
    host.stamp(*at)
    check = host.check()
    with pytest.raises(Unhealthy) as caught:
        _run(check)
    assert caught.value.data == {"revision": at[0] if at else None, "head": "0002"}
    assert _advice(caught.value) == ["flask db upgrade"]
    host.type_in("flask db upgrade")
    assert _run(check) == {"revision": "0002", "head": "0002", "ahead": False}


def test_a_revision_that_only_the_next_release_knows_is_fit_for_the_old_one(host: HostOf) -> None:
    host.stamp("0003")
    assert _run(host.check()) == {"revision": "0003", "head": "0002", "ahead": True}


@pytest.mark.parametrize("revisions", [LINE, TWO_HEADS])
def test_tables_of_create_all_are_told_and_stamped(
    tmp_path: Path, revisions: dict[str, str | None]
) -> None:
    host = HostOf(tmp_path, f"sqlite:///{tmp_path / 'host.db'}", revisions)
    host.run("CREATE TABLE users (id INTEGER)")
    check = host.check()
    with pytest.raises(Warned, match="not made by migrations") as caught:
        _run(check)
    for command in _advice(caught.value):
        host.type_in(command)
    if revisions is LINE:
        assert _run(check) == {"revision": "0002", "head": "0002", "ahead": False}


def test_several_heads_are_told_and_merged(tmp_path: Path) -> None:
    host = HostOf(tmp_path, f"sqlite:///{tmp_path / 'host.db'}", TWO_HEADS)
    host.stamp("0002")
    with pytest.raises(Warned, match="2 heads") as caught:
        _run(host.check())
    assert caught.value.data["head"] == "0002,0003"
    for command in _advice(caught.value):
        host.type_in(command)
    host.type_in("flask db upgrade")
    found = _run(host.check())
    assert isinstance(found, dict)
    assert found["revision"] == found["head"]


def test_a_database_behind_all_heads_is_behind(tmp_path: Path) -> None:
    host = HostOf(tmp_path, f"sqlite:///{tmp_path / 'host.db'}", TWO_HEADS)
    host.stamp("0001")
    with pytest.raises(Unhealthy) as caught:
        _run(host.check())
    for command in _advice(caught.value):
        host.type_in(command)


def test_a_host_whose_migrations_are_still_to_come_is_told(tmp_path: Path) -> None:
    host = HostOf(tmp_path, f"sqlite:///{tmp_path / 'host.db'}", {})
    with pytest.raises(Warned, match="flask db init"):
        _run(host.check())


def test_a_revision_that_cannot_be_read_is_told(host: HostOf) -> None:
    host.stamp("0002")
    (host.folder / "versions" / "0002.py").write_text("this is no Python")
    with pytest.raises(Warned, match="cannot be read"):
        _run(host.check())


@pytest.mark.parametrize("said", [True, False])
def test_a_version_table_in_a_schema_of_its_own_is_found(
    tmp_path: Path, database_url: str, said: bool
) -> None:
    host = HostOf(tmp_path, database_url, LINE)
    host.run("CREATE SCHEMA versions", "CREATE TABLE users (id INTEGER)")
    host.stamp("0002", table="versions.alembic_version")
    check = host.check(**({"version_table_schema": "versions"} if said else {}))
    assert _run(check) == {"revision": "0002", "head": "0002", "ahead": False}


def test_a_version_table_of_another_name_is_read(host: HostOf) -> None:
    host.stamp("0002", table="versions")
    check = host.check(version_table="versions")
    assert _run(check) == {"revision": "0002", "head": "0002", "ahead": False}


def test_databases_that_are_not_looked_at_are_named(host: HostOf) -> None:
    host.app.config["SQLALCHEMY_BINDS"] = {"reports": "sqlite://"}
    assert host.check().facts == {"unchecked_binds": ["reports"]}
