"""A database is known by whatever name it is reached; what serves is never overwritten unasked."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.backup import backup, restore
from mina_ops.operator.database.backup.readiness import Choices
from mina_ops.operator.database.connection import identity
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.errors import Refused
from tests.operator.database.conftest import ask, run
from tests.support.pgbouncer import running_pgbouncer
from tests.support.postgres import Postgres

SPELLINGS = (
    "postgresql://mina@127.1:{port}/{name}",
    "postgres://mina@0.0.0.0:{port}/{name}",
    "postgresql+psycopg2://other@localhost:{port}/{name}",
    "postgresql://mina@/{name}?host=127.0.0.1&port={port}",
    "postgresql://mina@/{name}?host=127.1:{port}",
    "postgresql+asyncpg://mina@127.1:{port}/{name}",
    "postgresql://?host=127.1&port={port}&dbname={name}&user=mina",
)


def spelled(spelling: str, database: Database) -> Database:
    return parse(spelling.format(port=database.url.port, name=database.database))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_same_database_by_another_name(mina: Database, spelling: str) -> None:
    run(mina, "DO $$ BEGIN CREATE ROLE other LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    assert identity.same(mina, spelled(spelling, mina))


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_database_behind_pgbouncer_is_the_same(
    mina: Database, postgres: Postgres, tmp_path: Path, mode: str
) -> None:
    other = parse(postgres.new_database())
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    run(mina, "DELETE FROM bookmarks")
    assert mina.url.port
    with running_pgbouncer(mina.url.port, mode) as port:
        pooled = Database(mina.url.set(port=port))
        assert identity.same(mina, pooled)
        assert identity.same(pooled, mina)
        assert identity.same(pooled, pooled.named(mina.database))
        assert identity.durable(pooled) == identity.durable(mina)
        assert identity.same(other, pooled) is False
        with pytest.raises(Refused, match=f"--force {mina.database}"):
            restore.restore(file, pooled)
        with pytest.raises(Refused, match=f"--force {other.database}"):
            restore.restore(file, other, protected=[Database(other.url.set(port=port))])
        assert ask(mina, "SELECT count(*) FROM bookmarks") == [(0,)]
        # A pooler is no way round, and no hindrance either.
        made = backup.make(pooled, tmp_path / "backup_2.sql")
        assert made.restored
        assert restore.restore(file, Database(other.url.set(port=port))).differences == []


def test_other_database_of_the_server_is_another(mina: Database, postgres: Postgres) -> None:
    other = parse(postgres.new_database().replace("127.0.0.1", "127.1"))
    assert identity.same(mina, other) is False
    assert identity.durable(mina) != identity.durable(other)


def test_who_cannot_be_asked_is_neither(mina: Database) -> None:
    assert identity.same(mina, parse("postgresql://mina@127.0.0.1:1/x")) is None


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_restore_over_the_source_by_another_name_is_refused(
    mina: Database, tmp_path: Path, spelling: str
) -> None:
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    run(mina, "DELETE FROM bookmarks")
    target = spelled(spelling.replace("other@", "mina@"), mina)
    with pytest.raises(Refused, match=f"--force {mina.database}"):
        restore.restore(file, target)
    with pytest.raises(Refused, match=f"--force {mina.database}"):
        restore.restore(file, target, choices=Choices(force="mina"))
    assert ask(mina, "SELECT count(*) FROM bookmarks") == [(0,)]


def test_target_that_others_are_connected_to_is_in_use(
    mina: Database, postgres: Postgres, tmp_path: Path
) -> None:
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    other = parse(postgres.new_database())
    url = other.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        psycopg.connect(url, application_name="gunicorn"),
        pytest.raises(Refused, match="1 of gunicorn connected"),
    ):
        restore.restore(file, other)


def test_protected_database_that_cannot_be_asked_stops_a_restore_of_unknown_origin(
    mina: Database, postgres: Postgres, tmp_path: Path
) -> None:
    file = tmp_path / "backup_1.sql"
    made = backup.make(mina, file, prove=False)
    gone = parse("postgresql://mina@127.0.0.1:1/x")
    target = parse(postgres.new_database())
    assert made.identity != identity.durable(target)
    assert restore.restore(file, target, protected=[gone]).differences == []
    (tmp_path / "backup_1.sql.manifest.json").unlink()
    with pytest.raises(Refused, match="cannot be asked"):
        restore.restore(file, parse(postgres.new_database()), protected=[gone])


def test_sqlite_is_known_by_its_inode(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"")
    os.link(tmp_path / "a.db", tmp_path / "b.db")
    (tmp_path / "c.db").symlink_to(tmp_path / "a.db")
    one = parse(f"sqlite:///{tmp_path}/a.db")
    assert identity.same(one, parse(f"sqlite:///{tmp_path}/b.db"))
    assert identity.same(one, parse(f"sqlite:///file:{tmp_path}/c.db?mode=ro&uri=true"))
    assert identity.same(one, parse(f"sqlite:///{tmp_path}/d.db")) is False


def test_sqlite_file_that_a_program_has_open_is_in_use(tmp_path: Path) -> None:
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with closing(sqlite3.connect(source)) as made:
        made.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    file = tmp_path / "backup_1.sql"
    backup.make(parse(f"sqlite:///{source}"), file)
    there = parse(f"sqlite:///{target}")
    with closing(sqlite3.connect(target)) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE kept (a)")
        app.commit()
        with pytest.raises(Refused, match=r"there is target\.db-wal"):
            restore.restore(file, there)
        assert app.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert restore.restore(file, there).differences == []


def test_command_needs_the_name(
    mina: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    url = mina.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("RESTORE_DATABASE_URL", url.replace("127.0.0.1", "127.1"))
    done = CliRunner().invoke(main, ["db", "restore", str(file)])
    assert done.exit_code == 2
    assert f"--force {mina.database}" in done.stderr
    done = CliRunner().invoke(main, ["db", "restore", str(file), "--force", mina.database])
    assert done.exit_code == 0, done.output
    assert list((tmp_path / "backups").glob("pre_restore_backup_*.sql"))


@pytest.mark.parametrize("url", ["postgresql://u@/?host=/tmp", "mysql://a/b", ""])
def test_url_without_a_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(url)


def test_socket_in_the_query_reaches_the_tools_as_it_reaches_sqlalchemy() -> None:
    found = parse("postgresql://u:p%40x@/db?host=/tmp&port=55401&sslmode=require").libpq()
    assert (found["PGHOST"], found["PGPORT"], found["PGDATABASE"]) == ("/tmp", "55401", "db")
    assert (found["PGUSER"], found["PGPASSWORD"], found["PGSSLMODE"]) == ("u", "p@x", "require")
    assert "search_path=pg_catalog" in found["PGOPTIONS"]
