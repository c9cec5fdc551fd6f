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
from mina_ops.operator.database.backup.traits import Traits, may_own
from mina_ops.operator.database.connection import guest as guests
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.drop import drop
from mina_ops.operator.database.connection.errors import BackupFailed
from mina_ops.operator.database.connection.guest import Guest
from mina_ops.operator.database.connection.queries import rows, run
from mina_ops.operator.database.connection.sealed import sealed

PREFIX = "mina_scratch_"
_STALE = sealed("""
SELECT d.datname FROM pg_database AS d
WHERE starts_with(d.datname::text, :prefix) AND pg_has_role(d.datdba, 'MEMBER')
""")


def sqlite(file: Path) -> Database:
    """The SQLite database in a file."""
    return Database(URL.create("sqlite", database=str(file)))


@contextmanager
def restored_sqlite(backup: Path) -> Iterator[Database]:
    """A copy of an SQLite backup that SQLite finds whole.

    Raises:
        BackupFailed: it is damaged.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        copied = Path(folder) / "restored.sqlite"
        shutil.copyfile(backup, copied)
        with closing(sqlite3.connect(copied)) as connection:
            try:
                answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
            except sqlite3.DatabaseError:
                answer = "unreadable"
        if answer != "ok":
            raise BackupFailed(f"{backup.name} is damaged; use another backup.")
        yield sqlite(copied)


@contextmanager
def empty(database: Database, traits: Traits, owner: Guest | None = None) -> Iterator[Database]:
    """An empty database beside `database`, of the same encoding and locale; dropped at the end.

    Raises:
        AccessDenied: the role may not create databases.
    """
    scratch = database.named(f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}")
    name = scratch.database
    with database.connect(isolation_level="AUTOCOMMIT") as connection:
        _drop_stale(connection)
        if not guests.rights(connection).databases:
            raise AccessDenied(
                f"The role of {database.name} may not create a scratch database, so the backup "
                "cannot be proven. Grant it CREATEDB, or leave the proof out (--no-prove)."
            )
    # From before it is made: an interruption may come when the server has it and we do not know.
    try:
        with database.connect(isolation_level="AUTOCOMMIT") as connection:
            whose = owner.name if owner else traits.owner
            run(
                connection,
                traits.creation(name, whose if owner or may_own(connection, whose) else ""),
            )
        yield scratch
    finally:
        with database.connect(isolation_level="AUTOCOMMIT") as connection:
            drop(connection, name)


def _drop_stale(connection: Connection) -> None:
    for row in rows(connection, _STALE, prefix=PREFIX):
        stamp = row.datname.removeprefix(PREFIX).partition("_")[0]
        if stamp.isdigit() and time.time() - int(stamp) > guests.STALE_SECONDS:
            drop(connection, row.datname)
