"""A backup is proven, a restore brings back every byte, and failures leave nothing half-done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from mina_ops.errors import AccessDenied, ConfigurationError, MinaOpsError, ToolMissing
from mina_ops.operator.database.backup import backup, census, manifest, restore
from mina_ops.operator.database.backup.readiness import Choices
from mina_ops.operator.database.backup.restore_table import restore_table
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.errors import (
    BackupFailed,
    DatabaseUnreachable,
    Refused,
    RestoreFailed,
)
from mina_ops.operator.database.integrity import integrity
from mina_ops.operator.database.integrity.expectations import Expectations
from tests.operator.database.conftest import ask, run
from tests.support.postgres import Postgres
from tests.support.wait import eventually

_MINA_OPS = [sys.executable, "-c", "from mina_ops.cli import main; main()"]


def dump(database: Database) -> bytes:
    """The database as plain SQL; the same bytes for the same content."""
    return subprocess.run(
        ["pg_dump", "--restrict-key=same"],
        env={**os.environ, **database.libpq()},
        check=True,
        capture_output=True,
    ).stdout


@pytest.fixture
def other(postgres: Postgres) -> Database:
    return parse(postgres.new_database())


def _scratch_left(database: Database) -> list[tuple[object, ...]]:
    return ask(database, "SELECT datname FROM pg_database WHERE datname LIKE 'mina_scratch%'")


def test_backup_corrupt_restore_verify_gives_byte_equal_dumps(
    mina: Database, tmp_path: Path
) -> None:
    before = dump(mina)
    file = tmp_path / "backup_20251025_095500.sql"
    made = backup.make(mina, file)
    run(mina, "DELETE FROM segments WHERE id % 3 = 0; UPDATE users SET email = NULL")
    run(mina, "DROP TABLE bookmarks; ALTER TABLE sessions ADD COLUMN junk text")
    assert dump(mina) != before

    came = restore.restore(file, mina, choices=Choices(force=mina.database), safety_folder=tmp_path)

    assert came.differences == []
    assert dump(mina) == before
    expected = Expectations(tables=made.tables, exact=True)
    assert integrity.check(mina, expected).clean
    assert list(tmp_path.glob("pre_restore_backup_*.sql"))


def test_manifest_says_what_was_proven(mina: Database, tmp_path: Path) -> None:
    file = tmp_path / "backup_1.sql"
    made = backup.make(mina, file)
    assert made.restored
    assert made.revision == "r2"
    assert made.tables["public.segments"].rows == 1000
    assert made.sha256 == manifest.sha256(file)
    assert manifest.read(file) == made
    assert (tmp_path / "backup_latest.sql").resolve() == file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "mina@" not in manifest.path_of(file).read_text()
    assert backup.listing(file)
    assert _scratch_left(mina) == []
    found = manifest.newest(tmp_path)
    assert found is not None
    assert found[0] == file


def test_counts_and_dump_come_from_one_snapshot_while_rows_come(
    mina: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    insert = "INSERT INTO public.bookmarks (session_id, note) VALUES (1, 'live')"
    write = f'psql -qc "{insert}" || exit 1'
    program.write_text(f'#!/bin/sh\n{write}\n{shutil.which("pg_dump")} "$@" || exit 1\n{write}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    made = backup.make(mina, tmp_path / "backup_1.sql")
    assert made.restored
    assert made.tables["public.bookmarks"].rows == 20
    assert ask(mina, "SELECT count(*) FROM bookmarks") == [(22,)]


def test_restore_goes_into_another_database(
    mina: Database, other: Database, tmp_path: Path
) -> None:
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    assert restore.restore(file, other).differences == []
    assert dump(other) == dump(mina)
    run(other, "DELETE FROM segments")
    assert restore.restore(file, other).differences == [], "a second restore replaces the first"


def test_restore_over_the_source_or_a_protected_database_is_refused(
    mina: Database, other: Database, tmp_path: Path
) -> None:
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    run(mina, "DELETE FROM bookmarks")
    before = dump(mina)
    with pytest.raises(Refused, match="--force"):
        restore.restore(file, mina)
    with pytest.raises(Refused):
        restore.restore(file, other, protected=[other])
    assert dump(mina) == before


def test_half_written_backup_is_refused_and_the_target_stays(
    mina: Database, other: Database, tmp_path: Path
) -> None:
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    run(other, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")
    file.write_bytes(file.read_bytes()[:-3000])
    with pytest.raises(RestoreFailed, match="half-written or changed"):
        restore.restore(file, other)
    manifest.path_of(file).unlink()
    with pytest.raises(RestoreFailed, match="The target is as it was"):
        restore.restore(file, other)
    assert ask(other, "SELECT * FROM kept") == [(1,)]
    assert ask(other, "SELECT to_regclass('users')") == [(None,)]


def test_plain_text_dump_is_told_apart(mina: Database, tmp_path: Path) -> None:
    file = tmp_path / "plain.sql"
    file.write_bytes(dump(mina))
    with pytest.raises(BackupFailed, match="custom format"):
        backup.listing(file)


def test_one_table_comes_back_and_newer_rows_stay(mina: Database, tmp_path: Path) -> None:
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    before = ask(mina, "SELECT * FROM sessions ORDER BY id")
    run(mina, "UPDATE sessions SET title = 'spoilt' WHERE id < 11")
    run(mina, "DELETE FROM segments WHERE session_id > 190; DELETE FROM bookmarks")
    run(mina, "DELETE FROM sessions WHERE id > 190")
    run(mina, "INSERT INTO sessions (id, user_id, title) VALUES (900, 1, 'new')")

    assert restore_table(file, "sessions", mina).rows == 20

    assert ask(mina, "SELECT * FROM sessions WHERE id < 900 ORDER BY id") == before
    assert ask(mina, "SELECT title FROM sessions WHERE id = 900") == [("new",)]
    assert ask(mina, "SELECT count(*) FROM bookmarks") == [(0,)], "other tables stay"
    assert restore_table(file, "sessions", mina, exact=True).rows == 1
    assert ask(mina, "SELECT * FROM sessions ORDER BY id") == before
    assert _scratch_left(mina) == []


@pytest.mark.parametrize("table", ["nothing", "x; DROP TABLE users", "loose"])
def test_table_that_cannot_come_back_alone_is_refused(
    mina: Database, tmp_path: Path, table: str
) -> None:
    run(mina, "CREATE TABLE loose (n int)")
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False)
    with pytest.raises(MinaOpsError):
        restore_table(file, table, mina)
    assert ask(mina, "SELECT count(*) FROM users") == [(50,)]


def test_existing_backup_is_never_overwritten(mina: Database, tmp_path: Path) -> None:
    file = tmp_path / "backup_1.sql"
    file.write_text("precious")
    with pytest.raises(BackupFailed, match="never overwritten"):
        backup.make(mina, file)
    assert file.read_text() == "precious"


def test_failed_copy_leaves_the_backup_and_says_so(mina: Database, tmp_path: Path) -> None:
    file = tmp_path / "backup_1.sql"
    with pytest.raises(BackupFailed, match="stands and is good"):
        backup.make(mina, file, prove=False, copy=["false", "{file}"])
    assert restore.check(file) is not None


def test_copy_command_gets_the_file_and_its_manifest(mina: Database, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file, prove=False, copy=["cp", "{file}", f"{away}/{{name}}"])
    assert restore.check(away / "backup_1.sql") is not None


def test_role_without_createdb_is_told_how_to_go_on(mina: Database, tmp_path: Path) -> None:
    run(mina, "CREATE ROLE keeper LOGIN; GRANT pg_read_all_data TO keeper;")
    try:
        keeper = Database(mina.url.set(username="keeper"))
        with pytest.raises(AccessDenied, match="CREATEDB"):
            backup.make(keeper, tmp_path / "backup_1.sql")
        assert list(tmp_path.iterdir()) == []
        assert not backup.make(keeper, tmp_path / "backup_1.sql", prove=False).restored
    finally:
        run(mina, "DROP ROLE keeper")


def test_role_that_may_not_read_makes_no_backup(mina: Database, tmp_path: Path) -> None:
    run(mina, "CREATE ROLE blind LOGIN")
    try:
        with pytest.raises(BackupFailed, match="may not read everything"):
            backup.make(Database(mina.url.set(username="blind")), tmp_path / "backup_1.sql")
    finally:
        run(mina, "DROP ROLE blind")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [({"database": "nowhere"}, "no database of that name"), ({"port": 1}, "nothing listens")],
)
def test_wrong_url_is_classified_without_showing_it(
    mina: Database, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    url = mina.url.set(password="hush", **change)  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnreachable, match=message) as error:
        backup.make(Database(url), tmp_path / "backup_1.sql")
    assert "hush" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_pg_dump_is_named(
    mina: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"pg_dump.*postgresql-client"):
        backup.make(mina, tmp_path / "b" / "backup_1.sql")


def test_folder_that_cannot_be_made_is_named(mina: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupFailed, match="cannot be written"):
        backup.make(mina, tmp_path / "file" / "backup_1.sql")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_run_leaves_no_file_and_no_scratch_database(
    mina: Database, tmp_path: Path, number: signal.Signals
) -> None:
    # It took no time to fill this view; where it is restored, it takes half an hour.
    nap = (
        "CREATE OR REPLACE FUNCTION nap() RETURNS text LANGUAGE sql AS 'SELECT pg_sleep({})::text'"
    )
    run(mina, nap.format(0))
    run(mina, "CREATE MATERIALIZED VIEW naps AS SELECT nap()")
    run(mina, nap.format(1800))
    url = mina.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [*_MINA_OPS, "db", "backup", "--output", str(tmp_path / "backup_1.sql")],
        env={**os.environ, "DATABASE_URL": url},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    eventually(lambda: _scratch_left(mina), 30, "no scratch database came", interval=0.005)
    # A terminal sends Ctrl-C to pg_restore too.
    os.killpg(process.pid, number)
    assert process.wait(30) != 0
    assert list(tmp_path.iterdir()) == []
    assert _scratch_left(mina) == []


def test_sqlite_backup_and_restore(tmp_path: Path) -> None:
    source = tmp_path / "live.sqlite"
    connection = sqlite3.connect(source)
    connection.executescript(
        "PRAGMA journal_mode = WAL; CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT);"
        "INSERT INTO a (t) VALUES ('x'), ('y');"
    )
    database = parse(f"sqlite:///{source}")
    file = tmp_path / "backup_1.sql"
    assert backup.make(database, file).restored
    with pytest.raises(Refused):
        restore.restore(file, database)
    connection.execute("DELETE FROM a")
    connection.commit()
    assert restore.restore(file, database, choices=Choices(force="live.sqlite")).differences == []
    assert connection.execute("SELECT t FROM a").fetchall() == [("x",), ("y",)], (
        "an open connection sees the restored rows"
    )
    connection.close()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RestoreFailed):
        restore.restore(file, parse(f"sqlite:///{tmp_path / 'new.sqlite'}"))
    assert not (tmp_path / "new.sqlite").exists()


def test_missing_sqlite_file_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "no.sqlite"
    with pytest.raises(DatabaseUnreachable):
        integrity.check(parse(f"sqlite:///{missing}"))
    assert not missing.exists()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://a/b", "postgresql://host"])
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(url)


def test_census_tells_changed_rows_of_equal_number(mina: Database) -> None:
    with mina.connect() as connection:
        before = census.take(connection)
    run(mina, "UPDATE users SET email = 'other' WHERE id = 3")
    with mina.connect() as connection:
        assert list(census.differences(before, census.take(connection)).values()) == [
            "public.users has 50 rows, and some of them differ"
        ]


class TestCommands:
    """The commands of `mina-ops db`, with their exit codes."""

    @pytest.fixture(autouse=True)
    def _environment(self, mina: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATABASE_URL", mina.url.render_as_string(hide_password=False))

    def _run(self, *args: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(main, ["db", *args])
        return done.exit_code, done.stdout, done.stderr

    def test_backup_restore_and_integrity(
        self, other: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, out, _ = self._run("backup", "--json")
        assert code == 0
        made = json.loads(out)
        assert made["proven"]
        assert self._run("restore", made["file"])[0] == 2, "no target was named"
        monkeypatch.setenv("RESTORE_DATABASE_URL", other.url.render_as_string(hide_password=False))
        assert self._run("restore", made["file"])[:2] == (
            0,
            f"{made['file']} is restored into {other.name}; every row is as it was.\n",
        )
        code, out, _ = self._run(
            "integrity", "--manifest", made["file"], "--exact", "--url-env", "RESTORE_DATABASE_URL"
        )
        assert code == 0
        assert out.endswith("No fault found.\n")

    def test_fault_gives_exit_code_11(self, mina: Database) -> None:
        run(mina, "SELECT setval('segments_id_seq', 1)")
        code, out, err = self._run("integrity")
        assert code == 11
        assert "logs in as a superuser" in err
        assert "setval('public.segments_id_seq', 1000)" in out
        assert "1 faults" in err

    def test_offline_takes_every_right_and_online_gives_back_the_same(self, mina: Database) -> None:
        run(mina, "CREATE ROLE reader_beside LOGIN")
        try:
            run(
                mina,
                "GRANT SELECT, INSERT ON users TO reader_beside; GRANT SELECT ON users TO PUBLIC",
            )
            rights = "SELECT relacl::text FROM pg_class WHERE oid = 'users'::regclass"
            before = ask(mina, rights)
            assert self._run("offline", "users")[0] == 0
            assert self._run("offline", "users")[0] == 0
            assert ask(mina, rights) == [("{}",)]
            assert self._run("online", "users")[0] == 0
            assert sorted(str(ask(mina, rights)[0][0]).strip("{}").split(",")) == sorted(
                str(before[0][0]).strip("{}").split(",")
            )
            assert self._run("online", "users")[0] == 1, "there is nothing to give back"
        finally:
            run(mina, "DROP OWNED BY reader_beside; DROP ROLE reader_beside;")

    def test_corruption_says_how_far_it_goes(self, mina: Database) -> None:
        self._run("backup")
        run(
            mina,
            "SET session_replication_role = replica; UPDATE sessions SET user_id = 999 "
            "WHERE id IN (10, 20)",
        )
        code, out, _ = self._run("corruption", "--json")
        assert code == 11
        (extent,) = json.loads(out)["extents"]
        assert extent["table"] == "public.sessions"
        assert extent["rows"] == 2
        assert extent["first"] == "2025-10-25 09:10:00"
        assert extent["last"] == "2025-10-25 09:20:00"
        assert extent["dependants"] == ["public.segments"]
        steps = json.loads(out)["steps"]
        assert "mina-ops db offline public.sessions" in steps
        assert any("--table public.sessions" in step for step in steps)

    def test_dry_runs_change_nothing(self, tmp_path: Path) -> None:
        assert self._run("backup", "--dry-run")[0] == 0
        assert self._run("integrity", "--dry-run")[0] == 0
        assert self._run("corruption", "--dry-run")[0] == 0
        assert self._run("offline", "users", "--dry-run")[0] == 0
        assert list(tmp_path.iterdir()) == []

    def test_unset_variable_is_usage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DATABASE_URL")
        code, _, err = self._run("integrity")
        assert code == 2
        assert "DATABASE_URL is not set" in err
