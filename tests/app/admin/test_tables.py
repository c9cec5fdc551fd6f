"""Our tables come and go by Alembic, alone or through Flask-Migrate, and are as the code says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import Migrate

from mina_ops import shipped
from mina_ops.app.admin.archive import TABLE

pytestmark = pytest.mark.once

FOLDER = shipped.folder("migrations")


def test_the_migrations_make_the_table_that_the_code_writes(database_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        options = {"version_table": "mina_ops_alembic_version"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, TABLE.metadata) == []
        command.downgrade(config, "base")
        left = set(sa.inspect(connection).get_table_names())
    engine.dispose()
    assert left == {"mina_ops_alembic_version"}


def test_flask_migrate_runs_the_same_tree(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'host.db'}")
    Migrate(app, app.extensions["sqlalchemy"])
    result = app.test_cli_runner().invoke(args=["db", "upgrade", "--directory", str(FOLDER)])
    assert result.exit_code == 0, result.output
    with app.app_context():
        names = sa.inspect(app.extensions["sqlalchemy"].engine).get_table_names()
    assert set(names) == {"mina_ops_alembic_version", "mina_ops_audit"}


def test_an_app_without_a_database_is_told_so(make_app: Callable[..., Flask]) -> None:
    runner = make_app().test_cli_runner()
    result = runner.invoke(args=["mina-ops", "upgrade"])
    assert result.exit_code == 1
    assert "no Flask-SQLAlchemy object" in result.output


@pytest.mark.parametrize("name", ["env.py", "script.py.mako", "alembic.ini", "versions"])
def test_the_tree_is_whole(name: str) -> None:
    assert (FOLDER / name).exists()
