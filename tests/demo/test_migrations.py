from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text

from mina_ops.demo.app import create_app
from mina_ops.demo.models import db

HEAD = "1a2b3c4d5e6f"


@pytest.fixture
def make_on(tmp_path: Path) -> Callable[[str], Flask]:
    def make(url: str) -> Flask:
        return create_app({"SQLALCHEMY_DATABASE_URI": url})

    return make


def check_round_trip(app: Flask) -> None:
    with app.app_context():
        upgrade()
        assert current() == HEAD
        assert difference() == []
        downgrade(revision="-1")
        assert "edited_text" not in columns_of_segments()
        upgrade()
        assert "edited_text" in columns_of_segments()
        downgrade(revision="base")
        assert set(inspect(db.engine).get_table_names()) == {"alembic_version"}
        db.engine.dispose()


def current() -> str | None:
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def difference() -> list[object]:
    with db.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), db.metadata))


def columns_of_segments() -> set[str]:
    return {str(column["name"]) for column in inspect(db.engine).get_columns("segments")}


def test_on_sqlite_the_migrations_go_up_down_and_up_and_match_the_models(
    make_on: Callable[[str], Flask], tmp_path: Path
) -> None:
    check_round_trip(make_on(f"sqlite:///{tmp_path / 'mina.db'}"))


def test_on_postgresql_the_migrations_go_up_down_and_up_and_match_the_models(
    make_on: Callable[[str], Flask], database_url: str
) -> None:
    check_round_trip(make_on(database_url))


def test_the_old_release_can_write_while_the_new_schema_is_in_place(app: Flask) -> None:
    with app.app_context():
        insert_user = "INSERT INTO users (username, password_hash, role) VALUES ('u', '', 'user')"
        insert_session = (
            "INSERT INTO sessions (user_id, title, status, created_at)"
            " VALUES (1, 't', 'active', '2026-01-01')"
        )
        insert_segment = (
            "INSERT INTO segments (session_id, text, speaker, created_at)"
            " VALUES (1, 'x', 'y', '2026-01-01')"
        )
        for statement in (insert_user, insert_session, insert_segment):
            db.session.execute(text(statement))
        db.session.commit()


def test_sqlite_is_shared_by_processes_with_a_log_and_a_busy_timeout(app: Flask) -> None:
    with app.app_context():
        assert db.session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert db.session.scalar(text("PRAGMA busy_timeout")) == 5000
        assert db.session.scalar(text("PRAGMA foreign_keys")) == 1


def test_tables_of_mina_ops_are_left_alone(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("CREATE TABLE mina_ops_audit (id INTEGER)"))
        db.session.commit()
        downgrade(revision="base")
        assert "mina_ops_audit" in inspect(db.engine).get_table_names()
