"""The programs of the playbook in scripts/bin, with what nobody would type on purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.postgres import Postgres, postgres_folder
from tests.support.wait import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = REPOSITORY / "scripts" / "bin"
PASSWORD = "s3cret%2F%20p%40ss"
PLAIN = "s3cret/ p@ss"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The wrappers before the real programs on PATH, in an empty folder."""
    path = os.pathsep.join([str(BIN), str(postgres_folder()), os.environ["PATH"]])
    command = str(Path(sys.executable).with_name("mina-ops"))
    return {"PATH": path, "HOME": str(tmp_path), "MINA_OPS": command}


@pytest.fixture
def database(postgres: Postgres) -> Iterator[tuple[str, psycopg.Connection[tuple[object, ...]]]]:
    """A database with two tables: its URL with a password in it, and a connection to it."""
    plain = postgres.new_database().replace("+psycopg", "")
    with psycopg.connect(plain) as connection:
        connection.execute("CREATE TABLE sessions (id int PRIMARY KEY)")
        connection.execute("CREATE TABLE users (id int PRIMARY KEY)")
        connection.execute("INSERT INTO sessions VALUES (1), (2)")
        connection.commit()
        yield plain.replace("mina@", f"mina:{PASSWORD}@"), connection


def typed(
    environment: dict[str, str], folder: Path, program: str, *arguments: str, **more: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={**environment, **more},
        executable=str(BIN / program),
        capture_output=True,
        timeout=60,
        check=False,
    )


def dumped(environment: dict[str, str], folder: Path, url: str, name: str) -> Path:
    done = typed(environment, folder, "pg_dump", url)
    assert done.returncode == 0, done.stderr
    file = folder / name
    file.write_bytes(done.stdout)
    return file


def _has_become(process: psutil.Process) -> bool:
    """Whether it is the program; before that it is this Python, env and bash, one after the other.

    Debian's own wrapper, in Perl, may stand in between.
    """
    program = Path(f"/proc/{process.pid}/exe").readlink()  # psutil keeps the first that it saw
    return not program.name.startswith(("python", "env", "bash"))


@pytest.mark.parametrize("form", ["{}", "--dbname={}", "-d{}"])
def test_a_dump_that_takes_long_shows_no_password_in_ps(
    environment: dict[str, str],
    database: tuple[str, psycopg.Connection[tuple[object, ...]]],
    tmp_path: Path,
    form: str,
) -> None:
    url, connection = database
    connection.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
    process = subprocess.Popen(
        [BIN / "pg_dump", form.format(url)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    real = psutil.Process(process.pid)
    eventually(lambda: _has_become(real))
    assert "s3cret" not in " ".join(real.cmdline())
    assert real.environ()["PGPASSWORD"] == PLAIN
    connection.rollback()
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, b"")
    assert out.startswith(b"PGDMP")


def test_a_restore_with_a_target_of_its_own_shows_no_password_either(
    environment: dict[str, str],
    database: tuple[str, psycopg.Connection[tuple[object, ...]]],
    tmp_path: Path,
) -> None:
    url, connection = database
    backup = dumped(environment, tmp_path, url, "a backup.sql")
    connection.execute("DROP TABLE users")
    connection.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
    process = subprocess.Popen(
        [BIN / "pg_restore", "--clean", "--if-exists", "-d", url, backup],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
    )
    real = psutil.Process(process.pid)
    # First it is env, then bash, which become the program.
    eventually(lambda: _has_become(real))
    assert "s3cret" not in " ".join(real.cmdline())
    connection.commit()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)


NAMES = ("with space.sql", "-leading-dash.sql", "$(touch hacked).sql", "a;touch x.sql", "*.sql")


@pytest.mark.parametrize("name", NAMES)
def test_a_backup_of_any_name_is_listed_and_nothing_else_is_run(
    environment: dict[str, str],
    database: tuple[str, psycopg.Connection[tuple[object, ...]]],
    tmp_path: Path,
    name: str,
) -> None:
    dumped(environment, tmp_path, database[0], name)
    done = typed(environment, tmp_path, "pg_restore", "--list", "--", name)
    assert done.returncode == 0, done.stderr
    assert b"TABLE public sessions" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_of_several_backups_the_newest_is_taken(
    environment: dict[str, str],
    database: tuple[str, psycopg.Connection[tuple[object, ...]]],
    tmp_path: Path,
) -> None:
    url, connection = database
    older = dumped(environment, tmp_path, url, "backup_1.sql")
    connection.execute("DROP TABLE users")
    connection.commit()
    newer = dumped(environment, tmp_path, url, "backup_2.sql")
    os.utime(older, (1, 1))
    os.utime(newer, (2, 2))
    done = typed(environment, tmp_path, "pg_restore", "--list", older.name, newer.name)
    assert b"TABLE public users" not in done.stdout
    done = typed(environment, tmp_path, "pg_restore", "--list", "backup_latest.sql")
    assert b"TABLE public sessions" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        # Each of them would have restored every table.
        (("backup.sql", "--table"), "--table needs a name"),
        (("backup.sql", "--table="), "--table needs a name"),
        (("--table", "users", "-t", "sessions", "backup.sql"), "one --table at a time"),
        (("--data-only", "backup.sql"), "knows no --data-only"),
        (("-n", "public", "backup.sql"), "knows no -n"),
        (("-j4", "backup.sql"), "knows no -j4"),
    ],
)
def test_what_is_not_understood_restores_nothing(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = typed(environment, tmp_path, "pg_restore", *arguments, MINA_OPS="/bin/false")
    assert done.returncode == 2
    assert told in done.stderr.decode()


def test_an_option_of_its_own_still_lists(
    environment: dict[str, str],
    database: tuple[str, psycopg.Connection[tuple[object, ...]]],
    tmp_path: Path,
) -> None:
    backup = dumped(environment, tmp_path, database[0], "backup.sql")
    done = typed(environment, tmp_path, "pg_restore", "--list", "-n", "nowhere", backup.name)
    assert done.returncode == 0
    assert b"TABLE public sessions" not in done.stdout


def test_a_table_is_named_to_mina_ops_in_one_piece(
    environment: dict[str, str], tmp_path: Path
) -> None:
    said = tmp_path / "said"
    said.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    said.chmod(0o755)
    for table in (("--table", "a b"), ("--table=a b",), ("-ta b",)):
        done = typed(environment, tmp_path, "pg_restore", *table, "x y.sql", MINA_OPS=str(said))
        assert done.stdout == b"<db><restore><--table><a b><--><x y.sql>"


def test_a_program_that_is_not_installed_is_exit_6(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for program in ("flask", "pg_dump", "pg_restore"):
        tools = tmp_path / "tools"
        tools.mkdir(exist_ok=True)
        for tool in ("bash", "dirname", "env"):
            (tools / tool).unlink(missing_ok=True)
            (tools / tool).symlink_to(f"/usr/bin/{tool}")
        path = f"{BIN}{os.pathsep}{tools}"
        done = typed(environment, tmp_path, program, "--version", PATH=path)
        assert done.returncode == 6, done.stderr
        assert f"{program} is not installed.".encode() in done.stderr


def test_flask_downgrades_by_a_number_and_gets_everything_else_as_it_is(
    environment: dict[str, str], tmp_path: Path
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "flask").write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    (real / "flask").chmod(0o755)
    path = os.pathsep.join([str(BIN), str(real), environment["PATH"]])
    for arguments, told in (
        (("db", "downgrade", "-1"), b"<db><downgrade><--><-1>"),
        (("db", "downgrade", "-12", "--sql"), b"<db><downgrade><--sql><--><-12>"),
        (("db", "downgrade", "--sql"), b"<db><downgrade><--sql>"),
        (("db", "downgrade", "-1; touch hacked"), b"<db><downgrade><-1; touch hacked>"),
        (("run", "--host", "a b", "$(touch hacked)", ""), b"<run><--host><a b><$(touch hacked)><>"),
    ):
        done = typed(environment, tmp_path, "flask", *arguments, PATH=path)
        assert (done.returncode, done.stdout) == (0, told)
    assert not (tmp_path / "hacked").exists()
