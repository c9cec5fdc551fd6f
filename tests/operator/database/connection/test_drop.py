"""A database is dropped beside sessions of others, whatever the role may end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.drop import drop
from tests.operator.database.conftest import ask, run
from tests.support.postgres import Postgres
from tests.support.wait import eventually

_WAITS = "SELECT 1 FROM pg_stat_activity WHERE starts_with(query, 'DROP DATABASE IF EXISTS \"made')"


@pytest.fixture
def made(postgres: Postgres) -> Iterator[Database]:
    """A database `made` of a role `maker_of_one` that may do no more than make databases."""
    admin = parse(postgres.url())
    run(admin, "CREATE ROLE maker_of_one LOGIN CREATEDB")
    run(admin, "CREATE DATABASE made OWNER maker_of_one")
    try:
        yield admin.named("made").login("maker_of_one", "")
    finally:
        run(admin, "DROP DATABASE IF EXISTS made WITH (FORCE)")
        run(admin, "DROP ROLE maker_of_one")


def _drop(made: Database) -> None:
    with made.named("postgres").connect(isolation_level="AUTOCOMMIT") as connection:
        drop(connection, "made")


def _exists(postgres: Postgres) -> bool:
    return bool(ask(parse(postgres.url()), "SELECT 1 FROM pg_database WHERE datname = 'made'"))


def test_waits_for_a_session_of_a_superuser_that_ends(made: Database, postgres: Postgres) -> None:
    # Autovacuum's are such, and so is a monitoring that looks into every database.
    admin = parse(postgres.url())
    with admin.named("made").connect():
        dropping = threading.Thread(target=_drop, args=[made])
        dropping.start()
        eventually(lambda: ask(admin, _WAITS), 10)
    dropping.join(30)
    assert not _exists(postgres)


@pytest.mark.long
def test_ends_the_sessions_that_its_role_may_end(made: Database, postgres: Postgres) -> None:
    with made.engine().connect() as own:
        own.exec_driver_sql("SELECT 1")
        _drop(made)
        assert not _exists(postgres)
        own.invalidate()


@pytest.mark.long
def test_one_that_stays_is_told_and_fails_nothing(
    made: Database, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with parse(postgres.url()).named("made").connect():
        _drop(made)
    assert _exists(postgres)
    assert 'type: DROP DATABASE "made"' in caplog.text
