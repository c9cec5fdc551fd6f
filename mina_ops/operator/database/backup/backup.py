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
from mina_ops.operator.database.backup import archive, dump, manifest, proof
from mina_ops.operator.database.backup.dump import Taken
from mina_ops.operator.database.backup.manifest import Manifest
from mina_ops.operator.database.connection import tools
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import BackupFailed
from mina_ops.operator.system import programs

LATEST = "backup_latest.sql"


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
        AccessDenied: the role may not make what the proof needs.
        DatabaseUnreachable: no connection.
        ToolMissing: pg_dump or pg_restore is not installed.
    """
    if target.exists():
        raise BackupFailed(f"{target} exists already; a backup is never overwritten.")
    with _partial(target) as partial:
        now = datetime.now(UTC)
        taken = dump.take(database, partial, version_table)
        listing(partial, database.kind)
        remarks = proof.prove(database, partial, taken.tables, taken.situation) if prove else []
        made = _describe(database, partial, target, now, taken)
        made = manifest.proven(made, remarks) if prove else made
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
    if kind != "sqlite":
        return archive.contents(backup)
    with closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            found = connection.execute("SELECT name FROM sqlite_master").fetchall()
        except sqlite3.DatabaseError as exc:
            raise BackupFailed(f"{backup} is no SQLite database.") from exc
    return [str(name) for (name,) in found]


def _describe(
    database: Database, partial: Path, target: Path, now: datetime, taken: Taken
) -> Manifest:
    known = taken.situation.traits
    return Manifest(
        file=target.name,
        bytes=partial.stat().st_size,
        sha256=manifest.sha256(partial),
        database=database.name,
        kind=database.kind,
        server_version=taken.server_version,
        created_at=now.isoformat(timespec="seconds"),
        revision=taken.revision,
        restored=False,
        tables=taken.tables,
        source=database.address,
        identity=taken.identity,
        traits=known,
        code=tuple(taken.code),
        schemas=tuple(taken.situation.schemas),
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
            result = programs.run(argv, timeout_seconds=tools.RUN_SECONDS)
            failed = "" if result.ok else result.last_line()
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
