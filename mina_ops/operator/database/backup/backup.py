"""A backup that has been proven: dumped and counted in one snapshot, listed, restored, compared.

Until all of that has passed, the file bears a temporary name; `backup_latest.sql` points at the
newest that did pass. The format of PostgreSQL's is custom, whatever the name ends in: the
playbook writes `backup_*.sql` and reads it with pg_restore.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mina_ops import files
from mina_ops.errors import OperatorError, ToolMissing
from mina_ops.operator.database.backup import census, manifest, scratch
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.backup.manifest import Manifest
from mina_ops.operator.database.connection.connect import Database, rows
from mina_ops.operator.database.connection.errors import BackupFailed
from mina_ops.operator.database.migrations.revisions import current
from mina_ops.operator.system import programs

LATEST = "backup_latest.sql"
DUMP_SECONDS = 6 * 3600.0
_TOOLS = "Install PostgreSQL's client programs (Debian: postgresql-client)."


def file_name(now: datetime, prefix: str = "backup") -> str:
    """The playbook's name of a backup: backup_20251025_095500.sql."""
    return f"{prefix}_{now:%Y%m%d_%H%M%S}.sql"


def make(
    database: Database,
    target: Path,
    *,
    prove: bool = True,
    version_table: str = "alembic_version",
    copy: Sequence[str] = (),
) -> Manifest:
    """Back a database up into the file `target`; its manifest lies beside it.

    A run that fails or is interrupted leaves nothing behind and no older backup touched.

    Args:
        prove: restore it into a scratch database on the same server and compare every row.
        copy: a command that copies it away; `{file}`, `{name}` and `{date}` are replaced.

    Raises:
        BackupFailed: the dump, the listing, the proof or the copy failed.
        DatabaseUnreachable: no connection.
        ToolMissing: pg_dump or pg_restore is not installed.
    """
    if target.exists():
        raise BackupFailed(f"{target} exists already; a backup is never overwritten.")
    with _partial(target) as partial:
        now = datetime.now(UTC)
        tables = _dump(database, partial)
        listing(partial, database.kind)
        if prove:
            _prove(database, partial, tables)
        made = _describe(database, partial, target, now, tables, prove, version_table)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        manifest.write(target, made)
        partial.replace(target)
        files.sync_folder(target.parent)
    if prove:
        files.link(target.with_name(LATEST), target.name)
    if copy:
        _copy_away(target, copy, now)
    return made


def listing(backup: Path, kind: str = "postgresql") -> list[str]:
    """The entries of a backup's table of contents.

    Raises:
        BackupFailed: it is no backup, or its beginning is damaged.
    """
    if kind == "sqlite":
        with closing(sqlite3.connect(f"file:{backup}?mode=ro", uri=True)) as connection:
            try:
                found = connection.execute("SELECT name FROM sqlite_master").fetchall()
            except sqlite3.DatabaseError as exc:
                raise BackupFailed(f"{backup} is no SQLite database.") from exc
        return [str(name) for (name,) in found]
    programs.find("pg_restore", _TOOLS)
    result = programs.run(["pg_restore", "--list", backup], timeout_seconds=300)
    if not result.ok:
        raise BackupFailed(
            f"{backup} is no backup in PostgreSQL's custom format, or it is damaged. "
            "Make one with `mina-ops db backup`."
        )
    return [line for line in result.stdout.splitlines() if line and not line.startswith(";")]


def _dump(database: Database, partial: Path) -> dict[str, Count]:
    if database.kind == "sqlite":
        return _dump_sqlite(database, partial)
    programs.find("pg_dump", _TOOLS)
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with database.connect(**options) as connection:
        snapshot = rows(connection, "SELECT pg_export_snapshot() AS name")[0].name
        argv = ["pg_dump", "--format=custom", "--no-password", f"--snapshot={snapshot}"]
        result = programs.run(
            [*argv, "--file", partial],
            timeout_seconds=DUMP_SECONDS,
            environment=database.libpq(),
        )
        if not result.ok:
            raise BackupFailed(
                f"pg_dump of {database.name} failed: {_why(result)} No backup was made."
            )
        return census.take(connection)


def _dump_sqlite(database: Database, partial: Path) -> dict[str, Count]:
    if not database.file.is_file():
        raise BackupFailed(f"There is no SQLite database {database.file}.")
    try:
        with (
            closing(sqlite3.connect(f"file:{database.file}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(partial)) as copied,
        ):
            source.backup(copied)
    except sqlite3.Error as exc:
        raise BackupFailed(f"{database.file} cannot be copied; no backup was made.") from exc
    with scratch.sqlite(partial).connect() as connection:
        return census.take(connection)


def _prove(database: Database, partial: Path, tables: dict[str, Count]) -> None:
    with scratch.restored(database, partial) as restored, restored.connect() as connection:
        differing = census.differences(tables, census.take(connection))
    if differing:
        raise BackupFailed(
            f"The backup of {database.name} restores to other rows: {'; '.join(differing[:3])}. "
            "It was thrown away; look at the server's log and disk."
        )


def _describe(
    database: Database,
    partial: Path,
    target: Path,
    now: datetime,
    tables: dict[str, Count],
    proven: bool,
    version_table: str,
) -> Manifest:
    with database.connect() as connection:
        version = rows(
            connection,
            "SELECT sqlite_version() AS v"
            if database.kind == "sqlite"
            else "SELECT current_setting('server_version') AS v",
        )[0].v
        revision = ",".join(current(connection, version_table)) or None
    return Manifest(
        file=target.name,
        bytes=partial.stat().st_size,
        sha256=manifest.sha256(partial),
        database=database.name,
        kind=database.kind,
        server_version=version,
        created_at=now.isoformat(timespec="seconds"),
        revision=revision,
        restored=proven,
        tables=tables,
        source=database.source,
    )


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    partial = files.beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.touch(mode=0o600)
    except OSError as exc:
        raise BackupFailed(f"{target.parent} cannot be written: {exc.strerror}.") from exc
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _copy_away(target: Path, copy: Sequence[str], now: datetime) -> None:
    words = {"{file}": str(target), "{name}": target.name, "{date}": f"{now:%Y%m%d}"}
    for part in (target, manifest.path_of(target)):
        words |= {"{file}": str(part), "{name}": part.name}
        argv = [_filled(argument, words) for argument in copy]
        try:
            result = programs.run(argv, timeout_seconds=DUMP_SECONDS)
            failed = "" if result.ok else f"exit code {result.code}"
        except (ToolMissing, OperatorError) as exc:
            failed = str(exc)
        if failed:
            raise BackupFailed(
                f"The backup {target} stands and is good, but copying {part.name} away with "
                f"`{copy[0]}` failed ({failed}). Copy it by hand."
            )


def _filled(argument: str, words: dict[str, str]) -> str:
    for placeholder, value in words.items():
        argument = argument.replace(placeholder, value)
    return argument


def _why(result: programs.Result) -> str:
    said = result.stderr.lower()
    if "permission denied" in said:
        return "the role may not read everything; use one that may (pg_read_all_data)."
    if "server version mismatch" in said:
        return "pg_dump is older than the server; install the client programs of its version."
    if "no space left" in said:
        return "the disk is full."
    if "snapshot" in said:
        return "the server does not share snapshots (is this a pooler's address?)."
    return f"exit code {result.code}."
