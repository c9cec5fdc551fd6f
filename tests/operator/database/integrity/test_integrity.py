"""Planted faults are each found, in a real PostgreSQL; a clean database has none."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mina_ops.errors import OperatorError
from mina_ops.operator.database.backup import census
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.integrity import integrity
from mina_ops.operator.database.integrity.expectations import Expectations, references
from mina_ops.operator.database.integrity.findings import Report
from tests.operator.database.conftest import run

# The checks of constraints are switched off the way a careless repair does it.
_UNGUARDED = "SET session_replication_role = replica;"
_UNINDEXED = (
    "UPDATE pg_index SET indisready = false, indisvalid = false "
    "WHERE indexrelid = '{index}'::regclass;"
)
_REINDEXED = (
    "UPDATE pg_index SET indisready = true, indisvalid = true "
    "WHERE indexrelid = '{index}'::regclass;"
)

# What is planted, the check that must find it, the table, how many rows.
PLANTED = {
    "row without its parent": (
        [_UNGUARDED + "INSERT INTO segments (session_id, text) VALUES (9999, 'lost')"],
        ("foreign_keys", "public.segments", 1),
    ),
    "orphan without a foreign key": (
        ["UPDATE bookmarks SET session_id = 8888 WHERE id < 4"],
        ("orphans", "public.bookmarks", 3),
    ),
    "constraint never validated": (
        ["ALTER TABLE sessions ADD CONSTRAINT titled CHECK (title <> '') NOT VALID"],
        ("not_valid", "public.sessions", None),
    ),
    "row that breaks a check": (
        [
            "ALTER TABLE users DROP CONSTRAINT users_role_check",
            "UPDATE users SET role = 'god' WHERE id IN (1, 2)",
            "ALTER TABLE users ADD CONSTRAINT users_role_check "
            "CHECK (role IN ('user', 'admin', 'owner')) NOT VALID",
            "UPDATE pg_constraint SET convalidated = true WHERE conname = 'users_role_check'",
        ],
        ("check_constraints", "public.users", 2),
    ),
    "null where none may be": (
        [
            "UPDATE pg_attribute SET attnotnull = false "
            "WHERE attrelid = 'sessions'::regclass AND attname = 'title'",
            "UPDATE sessions SET title = NULL WHERE id = 7",
            "UPDATE pg_attribute SET attnotnull = true "
            "WHERE attrelid = 'sessions'::regclass AND attname = 'title'",
        ],
        ("not_null", "public.sessions", 1),
    ),
    "sequence behind its table": (
        ["SELECT setval('segments_id_seq', 10)"],
        ("sequences", "public.segments", None),
    ),
    "identity behind its table": (
        ["ALTER TABLE sessions ALTER COLUMN id RESTART WITH 5"],
        ("sequences", "public.sessions", None),
    ),
    "key twice in a unique index": (
        [
            _UNINDEXED.format(index="users_username_key"),
            "INSERT INTO users (username) VALUES ('user3'), ('user3')",
            _REINDEXED.format(index="users_username_key"),
        ],
        ("unique_keys", "public.users", 1),
    ),
    "key twice in a partial expression index": (
        [
            _UNINDEXED.format(index="users_email"),
            "INSERT INTO users (username, email) VALUES ('x', 'U4@example.com')",
            _REINDEXED.format(index="users_email"),
        ],
        ("unique_keys", "public.users", 1),
    ),
    "invalid index": (
        ["UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'sessions_title'::regclass"],
        ("invalid_indexes", "public.sessions", None),
    ),
    "triggers switched off": (
        ["ALTER TABLE segments DISABLE TRIGGER ALL"],
        ("disabled_triggers", "public.segments", None),
    ),
    "index that lost rows": (
        [
            "CREATE EXTENSION amcheck",
            "UPDATE pg_index SET indisready = false WHERE indexrelid = 'sessions_title'::regclass",
            "INSERT INTO sessions (user_id, title) VALUES (1, 'unknown to the index')",
            "UPDATE pg_index SET indisready = true WHERE indexrelid = 'sessions_title'::regclass",
        ],
        ("structure", "", None),
    ),
    "half of a table gone": (
        ["DELETE FROM segments WHERE id > 400"],
        ("row_counts", "public.segments", None),
    ),
    "table gone": (["DROP TABLE bookmarks"], ("row_counts", "public.bookmarks", None)),
    "unknown revision": (
        ["UPDATE alembic_version SET version_num = 'nobody'"],
        ("revision", "", None),
    ),
    "two revisions at once": (
        ["INSERT INTO alembic_version VALUES ('r1')"],
        ("revision", "", None),
    ),
}


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for name, before in (("r1", "None"), ("r2", "'r1'")):
        (folder / "versions" / f"{name}.py").write_text(
            f"revision = '{name}'\ndown_revision = {before}\n"
            "def upgrade():\n    pass\ndef downgrade():\n    pass\n"
        )
    return folder


@pytest.fixture
def expected(mina: Database, migrations: Path) -> Expectations:
    with mina.connect() as connection:
        return Expectations(tables=census.take(connection), migrations=migrations)


@pytest.mark.usefixtures("postgres")
def test_clean_database_has_no_fault(mina: Database, expected: Expectations) -> None:
    run(mina, "CREATE EXTENSION amcheck")

    report = integrity.check(mina, expected)

    assert report.findings == ()
    assert report.clean
    states = {item.check: item.state for item in report.results}
    assert states.pop("checksums") == "skipped"
    assert set(states.values()) == {"ok"}


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_found(mina: Database, expected: Expectations, fault: str) -> None:
    statements, (check, table, number) = PLANTED[fault]
    for statement in statements:
        run(mina, statement)

    report = integrity.check(mina, expected)

    found = {(item.check, item.table, item.rows) for item in report.findings}
    assert (check, table, number) in found
    assert not report.clean
    assert all(item.state != "error" for item in report.results), report.results
    assert {name for name, _, _ in found} == {check}, "nothing else may be accused"


@pytest.mark.usefixtures("postgres")
def test_check_writes_nothing_and_needs_no_more_than_reading(mina: Database) -> None:
    run(mina, "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;")
    try:
        reader = Database(mina.url.set(username="reader"))
        report = integrity.check(reader)
    finally:
        run(mina, "DROP ROLE reader")
    assert report.clean, report.to_text()


@pytest.mark.usefixtures("postgres")
def test_role_without_rights_gets_an_error_not_a_clean_bill(mina: Database) -> None:
    run(mina, "CREATE ROLE nobody_much LOGIN")
    try:
        report = integrity.check(Database(mina.url.set(username="nobody_much")))
    finally:
        run(mina, "DROP ROLE nobody_much")
    assert not report.clean
    assert "may not read" in report.to_text()


@pytest.mark.usefixtures("postgres")
def test_declared_reference_is_followed_and_an_ignored_one_is_not(mina: Database) -> None:
    run(mina, "UPDATE bookmarks SET session_id = 777")
    declared = Expectations(references=references(["users.id -> sessions.user_id"]))
    assert integrity.check(mina, declared, only=["orphans"]).findings[0].table == "public.bookmarks"

    ignored = Expectations(ignore=["bookmarks.session_id"])
    assert integrity.check(mina, ignored, only=["orphans"]).clean


@pytest.mark.usefixtures("postgres")
def test_unknown_check_is_refused(mina: Database) -> None:
    with pytest.raises(OperatorError, match="no check typo; there are readable"):
        integrity.check(mina, only=["typo"])


def _sqlite(tmp_path: Path) -> tuple[Database, Path]:
    file = tmp_path / "mina.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id));"
        "INSERT INTO users VALUES (1, 'a'), (2, 'b');"
        "INSERT INTO sessions VALUES (1, 1), (2, 2);"
    )
    connection.close()
    return parse(f"sqlite:///{file}"), file


def _check_sqlite(database: Database, before: Expectations | None = None) -> Report:
    return integrity.check(database, before)


def test_sqlite__clean(tmp_path: Path) -> None:
    database, _ = _sqlite(tmp_path)
    assert _check_sqlite(database).clean


def test_sqlite__row_without_its_parent(tmp_path: Path) -> None:
    database, file = _sqlite(tmp_path)
    connection = sqlite3.connect(file)
    connection.execute("INSERT INTO sessions VALUES (3, 99)")
    connection.commit()
    connection.close()
    found = _check_sqlite(database).findings
    assert [(item.check, item.table, item.rows) for item in found] == [
        ("foreign_keys", "sessions", 1)
    ]


def test_sqlite__damaged_page(tmp_path: Path) -> None:
    database, file = _sqlite(tmp_path)
    data = bytearray(file.read_bytes())
    data[4096 * 2 : 4096 * 2 + 200] = b"\xff" * 200
    file.write_bytes(data)
    assert _check_sqlite(database).findings[0].check == "structure"


def test_sqlite__lost_table(tmp_path: Path) -> None:
    database, file = _sqlite(tmp_path)
    with database.connect() as connection:
        before = Expectations(tables=census.take(connection), exact=False)
    connection = sqlite3.connect(file)
    connection.execute("DROP TABLE sessions")
    connection.close()
    assert _check_sqlite(database, before).findings[0].detail == '"sessions" is missing'


def test_sqlite__a_finding_names_its_table_whole(tmp_path: Path) -> None:
    database, file = _sqlite(tmp_path)
    with sqlite3.connect(file) as connection:
        connection.execute('CREATE TABLE "order items" (id INTEGER PRIMARY KEY)')
    connection.close()
    with database.connect() as counting:
        before = Expectations(tables=census.take(counting), exact=True)
    with sqlite3.connect(file) as connection:
        connection.execute('DROP TABLE "order items"')
    connection.close()
    assert [item.table for item in _check_sqlite(database, before).findings] == ['"order items"']
