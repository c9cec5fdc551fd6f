"""A backup comes back on another server, in any encoding and locale, or says what is missing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from mina_ops.operator.database.backup import backup, manifest, restore
from mina_ops.operator.database.backup.readiness import Choices
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.errors import BackupFailed, RestoreFailed
from mina_ops.operator.database.integrity import integrity
from mina_ops.operator.database.integrity.expectations import Expectations
from tests.operator.database.conftest import ask, run
from tests.support.postgres import Postgres

KINDS = {
    "UTF8": "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
    "LATIN1": "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    "SQL_ASCII": "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
    "ICU": "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de'",
}
# What a real schema holds beside plain tables.
CONTENT = """
CREATE SCHEMA app;
CREATE EXTENSION IF NOT EXISTS citext SCHEMA app;
CREATE TABLE app.users (id serial PRIMARY KEY, mail app.citext UNIQUE, name text);
CREATE TABLE app.parts (id int, k int) PARTITION BY RANGE (k);
CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES FROM (0) TO (10);
CREATE FUNCTION limit_of() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 100';
CREATE FUNCTION small(n int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN RETURN n < limit_of(); END';
CREATE TABLE checked (n int CHECK (small(n)), up int GENERATED ALWAYS AS (n + 1) STORED);
CREATE POLICY own ON app.users USING (name = current_user);
CREATE MATERIALIZED VIEW sums AS SELECT count(*) AS n FROM app.parts;
INSERT INTO app.users (mail, name) VALUES ('A@x', 'a'), ('b@x', 'b');
INSERT INTO app.parts VALUES (1, 1), (2, 2);
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
INSERT INTO checked VALUES (1), (2);
SELECT lo_from_bytea(0, '\\x0102');
"""


def database_of(postgres: Postgres, kind: str, owner: str = "mina") -> Database:
    spare = parse(postgres.new_database())
    admin = parse(postgres.url())
    run(admin, f"DROP DATABASE {spare.database}")
    words = f"CREATE DATABASE {spare.database} TEMPLATE template0 OWNER {owner} {KINDS[kind]}"
    run(admin, words)
    return spare


@pytest.mark.parametrize("kind", KINDS)
def test_database_of_any_encoding_and_locale_is_proven_and_comes_back(
    postgres: Postgres, tmp_path: Path, kind: str
) -> None:
    source = database_of(postgres, kind)
    run(source, CONTENT)
    if kind == "SQL_ASCII":
        run(source, "INSERT INTO app.users (name) VALUES (E'\\\\xff\\\\xfe odd')")
    file = tmp_path / "backup_1.sql"
    made = backup.make(source, file)
    assert made.restored
    assert made.unproven == ()
    target = parse(postgres.new_database())
    run(parse(postgres.url()), f"DROP DATABASE {target.database}")
    came = restore.restore(file, target)
    assert (came.differences, came.remarks) == ([], []), "it was made with the same traits"
    expected = Expectations(tables=made.tables, exact=True)
    report = integrity.check(target, expected)
    assert report.clean, report.to_text()
    assert ask(target, "SELECT count(*) FROM pg_largeobject_metadata") == [(1,)]


def test_another_encoding_is_named(postgres: Postgres, tmp_path: Path) -> None:
    source = database_of(postgres, "LATIN1")
    run(source, "CREATE TABLE t (a text); INSERT INTO t VALUES (chr(228))")
    file = tmp_path / "backup_1.sql"
    backup.make(source, file)
    came = restore.restore(file, parse(postgres.new_database()))
    assert came.differences == []
    assert came.remarks == ["its encoding is UTF8, that of the backup LATIN1"]


def test_owner_with_createdb_alone_proves_its_own_database(
    postgres: Postgres, tmp_path: Path
) -> None:
    admin = parse(postgres.url())
    run(admin, "CREATE ROLE maker LOGIN CREATEDB")
    try:
        source = database_of(postgres, "UTF8", "maker").login("maker", "")
        run(source, CONTENT)
        # Rows that a policy hides from their own owner would be missing from a backup.
        with pytest.raises(BackupFailed, match="row-level security"):
            backup.make(source, tmp_path / "backup_1.sql")
        run(source, "ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY")
        assert backup.make(source, tmp_path / "backup_1.sql").unproven == ()
    finally:
        run(admin, f"DROP DATABASE IF EXISTS {source.database} WITH (FORCE)")
        run(admin, "DROP ROLE maker")


def test_bare_new_server_is_told_which_roles_to_make_before_anything_is_touched(
    postgres: Postgres, own_postgres: Postgres, tmp_path: Path
) -> None:
    source = database_of(postgres, "ICU")
    run(source, "CREATE ROLE app_owner LOGIN; CREATE ROLE auditor;")
    try:
        run(source, CONTENT)
        run(source, "ALTER TABLE app.users OWNER TO app_owner; GRANT SELECT ON sums TO auditor")
        file = tmp_path / "backup_1.sql"
        made = backup.make(source, file)
        assert made.restored
        target = parse(own_postgres.url("mina_restored"))
        with pytest.raises(RestoreFailed) as error:
            restore.restore(file, target)
        assert 'CREATE ROLE "app_owner" LOGIN; CREATE ROLE "auditor";' in str(error.value)
        databases = "SELECT datname FROM pg_database WHERE datname = 'mina_restored'"
        admin = parse(own_postgres.url())
        assert ask(admin, databases) == [], "what was made for it is gone"
        (tmp_path / "backup_1.sql.manifest.json").rename(tmp_path / "kept")
        empty = parse(own_postgres.new_database())
        with pytest.raises(RestoreFailed, match="app_owner, auditor"):
            restore.restore(file, empty)
        (tmp_path / "kept").rename(tmp_path / "backup_1.sql.manifest.json")
        run(admin, 'CREATE ROLE "app_owner" LOGIN; CREATE ROLE "auditor";')
        assert restore.restore(file, target).differences == []
        assert ask(target, "SELECT tableowner FROM pg_tables WHERE tablename = 'users'") == [
            ("app_owner",)
        ]
        assert integrity.check(target, Expectations(tables=made.tables, exact=True)).clean
        without = parse(own_postgres.new_database())
        choices = Choices(owners=False)
        assert restore.restore(file, without, choices=choices).differences == []
    finally:
        run(source, "DROP OWNED BY app_owner, auditor CASCADE")
        run(source, "DROP ROLE app_owner, auditor")


def test_settings_and_rights_of_the_database_itself_come_along_or_are_named(
    postgres: Postgres, own_postgres: Postgres, tmp_path: Path
) -> None:
    source = database_of(postgres, "UTF8")
    name = source.database
    admin = parse(postgres.url())
    run(admin, "CREATE ROLE reader LOGIN")
    try:
        run(source, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        run(admin, f'ALTER DATABASE {name} SET search_path = app, "$user", public')
        run(admin, f"ALTER DATABASE {name} SET \"TimeZone\" = 'Asia/Kolkata'")
        run(admin, f"ALTER ROLE reader IN DATABASE {name} SET work_mem = '5MB'")
        run(admin, f"ALTER DATABASE {name} SET mina_ops.environment = 'production'")
        run(admin, f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        run(admin, f"GRANT CONNECT ON DATABASE {name} TO reader WITH GRANT OPTION")
        file = tmp_path / "backup_1.sql"
        made = backup.make(source, file)
        assert manifest.read(file) == made

        new = parse(own_postgres.url())
        run(new, "CREATE ROLE reader LOGIN")
        target = new.named("copy")
        came = restore.restore(file, target)
        assert came.differences == []
        (mark,) = came.remarks
        assert "ALTER DATABASE \"copy\" SET mina_ops.environment = 'production';" in mark
        reader = target.login("reader", "")
        assert ask(reader, "SHOW search_path") == [('app, "$user", public',)]
        assert ask(reader, "SHOW timezone") == [("Asia/Kolkata",)]
        assert ask(reader, "SHOW work_mem") == [("5MB",)]
        run(new, "CREATE ROLE stranger LOGIN")
        stranger = target.login("stranger", "").url.set(drivername="postgresql")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(stranger.render_as_string(hide_password=False))

        # A database that was there keeps its own; what it lacks is named.
        other = parse(own_postgres.new_database())
        named = restore.restore(file, other).remarks
        assert len(named) == 6
        assert ask(other, "SHOW timezone") != [("Asia/Kolkata",)]
    finally:
        run(admin, f"DROP DATABASE {name} WITH (FORCE)")
        run(admin, "DROP ROLE reader")


@pytest.mark.parametrize("name", ["a#b.db", "a?mode=memory.db", "a %20 b.db", "ü.db"])
def test_sqlite_with_an_odd_path_is_the_one_that_is_backed_up(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path)) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute('CREATE TABLE "t:x" (a TEXT)')
        live.execute("""INSERT INTO "t:x" VALUES (CAST(x'ff00fe' AS TEXT)), ('ä')""")
        live.commit()
        database = Database(parse("sqlite:///x").url.set(database=str(path)))
        made = backup.make(database, tmp_path / "out" / "backup_1.sql")
    assert made.restored
    assert made.rows == 2
    other = Database(database.url.set(database=str(tmp_path / f"other {name}")))
    assert restore.restore(tmp_path / "out" / "backup_1.sql", other).differences == []


def test_tools_own_words_are_in_the_failure(postgres: Postgres, tmp_path: Path) -> None:
    source = parse(postgres.new_database())
    run(source, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    file = tmp_path / "backup_1.sql"
    backup.make(source, file, prove=False)
    target = parse(postgres.new_database())
    run(target, "CREATE TABLE t (a int); CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(RestoreFailed, match=r"cannot drop table.*other objects depend on it"):
        restore.restore(file, target)
    assert ask(target, "SELECT count(*) FROM v") == [(0,)]


def test_revision_is_read_in_the_snapshot_of_the_dump(
    mina: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    later = "UPDATE public.alembic_version SET version_num = 'r3'"
    program.write_text(f'#!/bin/sh\npsql -qc "{later}"\nexec {shutil.which("pg_dump")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert backup.make(mina, tmp_path / "backup_1.sql").revision == "r2"
    assert manifest.read(tmp_path / "backup_1.sql") is not None
