"""Dumped and counted in one snapshot, with all that the manifest says of the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from mina_ops import same_database
from mina_ops.operator.database.backup import census, proof, scratch, traits
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.backup.proof import Situation
from mina_ops.operator.database.connection import tools, trust
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import BackupFailed
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.trust import Code
from mina_ops.operator.database.migrations.revisions import current
from mina_ops.operator.system import programs

_SNAPSHOT = "SELECT pg_catalog.pg_export_snapshot() AS name"
_VERSION = "SELECT pg_catalog.current_setting('server_version') AS v"


@dataclass(frozen=True)
class Taken:
    """What was dumped: rows, revision, server, the database's kind, and whose code is in it."""

    tables: Mapping[str, Count]
    revision: str | None
    server_version: str
    identity: str
    situation: Situation
    code: Sequence[Code] = ()


def take(database: Database, into: Path, version_table: str) -> Taken:
    """Dump a database into a file, and read in the same snapshot what the dump must hold.

    Raises:
        BackupFailed: the dump failed; the message has the tool's own words.
        DatabaseUnreachable: no connection.
        ToolMissing: pg_dump is not installed.
    """
    if database.kind == "sqlite":
        _copy_sqlite(database, into)
        # Not even a migration meanwhile can make the copy's revision wrong.
        with scratch.sqlite(into).connect() as connection:
            return _described(connection, version_table)
    programs.find("pg_dump", tools.ADVICE)
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with database.connect(**options) as connection:
        snapshot = rows(connection, _SNAPSHOT)[0].name
        argv = ["pg_dump", "--format=custom", "--no-password", f"--snapshot={snapshot}"]
        result = tools.run(database, [*argv, "--file", into])
        if not result.ok:
            raise BackupFailed(
                f"pg_dump of {database.name} failed: {tools.said(result)}. "
                f"{_advice(result.stderr.lower())}No backup was made."
            )
        return _described(connection, version_table)


def _described(connection: Connection, version_table: str) -> Taken:
    sqlite_version = connection.dialect.name == "sqlite"
    version = "SELECT sqlite_version() AS v" if sqlite_version else _VERSION
    code = trust.load_code(connection)
    return Taken(
        tables=census.take(connection),
        revision=",".join(current(connection, version_table)) or None,
        server_version=rows(connection, version)[0].v,
        identity=same_database.durable(connection),
        situation=proof.situation(connection, traits.read(connection), code),
        code=code,
    )


def _copy_sqlite(database: Database, into: Path) -> None:
    if not database.file.is_file():
        raise BackupFailed(f"There is no SQLite database {database.file}.")
    try:
        with (
            closing(sqlite3.connect(f"{database.file.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(into)) as copied,
        ):
            source.backup(copied)
    except sqlite3.Error as exc:
        raise BackupFailed(
            f"{database.file} cannot be copied ({exc}); no backup was made."
        ) from exc


def _advice(said: str) -> str:
    if "permission denied" in said:
        return "The role may not read everything; use one that may (pg_read_all_data). "
    if "row-level security" in said:
        return "The role must pass row security (BYPASSRLS), or own the tables. "
    if "snapshot" in said:
        return "The server does not share snapshots; is this a pooler's address? "
    return ""
