"""Scratch databases, in which a backup shows what it restores to; gone afterwards."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection

from mina_ops.errors import AccessDenied
from mina_ops.operator.database.connection.connect import Database, rows
from mina_ops.operator.database.connection.errors import BackupFailed
from mina_ops.operator.system import programs

PREFIX = "mina_scratch_"
_RESTORE = ("pg_restore", "--exit-on-error", "--no-owner", "--no-acl", "--no-password")
RESTORE_SECONDS = 6 * 3600.0
# One that a killed run left behind; no proof of ours takes as long.
_STALE_SECONDS = 12 * 3600


def sqlite(file: Path) -> Database:
    """The SQLite database in a file."""
    return Database(URL.create("sqlite", database=str(file)))


@contextmanager
def restored(database: Database, backup: Path) -> Iterator[Database]:
    """A scratch database beside `database`, with the backup restored into it; dropped at the end.

    Raises:
        AccessDenied: the role may not create databases.
        BackupFailed: the backup cannot be restored.
    """
    if database.kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
            copied = Path(folder) / "restored.sqlite"
            shutil.copyfile(backup, copied)
            _check_sqlite(copied, backup)
            yield sqlite(copied)
        return
    scratch = database.named(f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}")
    with _created(database, scratch):
        result = programs.run(
            [*_RESTORE, "--dbname", scratch.url.database or "", backup],
            timeout_seconds=RESTORE_SECONDS,
            environment=scratch.libpq(),
        )
        if not result.ok:
            raise BackupFailed(
                f"{backup.name} cannot be restored into a scratch database (pg_restore ended with "
                f"{result.code}); it is not whole. Use another backup."
            )
        yield scratch


@contextmanager
def _created(database: Database, scratch: Database) -> Iterator[None]:
    with database.connect(isolation_level="AUTOCOMMIT") as connection:
        _drop_stale(connection)
        allowed = rows(
            connection,
            "SELECT rolcreatedb OR rolsuper AS yes FROM pg_roles WHERE rolname = current_user",
        )
        if not allowed or not allowed[0].yes:
            raise AccessDenied(
                f"The role of {database.name} may not create a scratch database, so the backup "
                "cannot be proven. Grant it CREATEDB, or leave the proof out (--no-prove)."
            )
    # From before it is made: an interruption may come when the server has it and we do not know.
    try:
        with database.connect(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {scratch.url.database} TEMPLATE template0")
        yield
    finally:
        with database.connect(isolation_level="AUTOCOMMIT") as connection:
            _drop(connection, scratch.url.database or "")


def _drop_stale(connection: Connection) -> None:
    found = rows(
        connection,
        "SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)"
        " AND pg_has_role(datdba, 'MEMBER')",
        prefix=PREFIX,
    )
    for row in found:
        stamp = row.datname.removeprefix(PREFIX).partition("_")[0]
        if stamp.isdigit() and time.time() - int(stamp) > _STALE_SECONDS:
            _drop(connection, row.datname)


def _drop(connection: Connection, name: str) -> None:
    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    connection.exec_driver_sql(drop)


def _check_sqlite(copied: Path, backup: Path) -> None:
    with closing(sqlite3.connect(copied)) as connection:
        try:
            answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError:
            answer = "unreadable"
    if answer != "ok":
        raise BackupFailed(f"{backup.name} is damaged; use another backup.")
