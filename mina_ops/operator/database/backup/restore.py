"""Restore a backup whole, or a single table of it; all or nothing, and never over its source
unless forced."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from mina_ops import files
from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.backup import backup as backups
from mina_ops.operator.database.backup import census, manifest, scratch
from mina_ops.operator.database.backup.manifest import Manifest
from mina_ops.operator.database.connection.connect import Database, rows
from mina_ops.operator.database.connection.errors import BackupFailed, Refused, RestoreFailed
from mina_ops.operator.system import programs


def check(backup: Path) -> Manifest | None:
    """Prove that a backup file is the one that its manifest describes; None without manifest.

    Raises:
        RestoreFailed: it is missing, half-written or changed.
    """
    if not backup.is_file():
        raise RestoreFailed(f"There is no backup {backup}.")
    known = manifest.read(backup)
    if known is None:
        return None
    size = backup.stat().st_size
    if size != known.bytes or manifest.sha256(backup) != known.sha256:
        raise RestoreFailed(
            f"{backup} is not the file that was backed up ({size} of {known.bytes} bytes, or other "
            "ones); it is half-written or changed. Use another backup."
        )
    return known


def restore(
    backup: Path,
    target: Database,
    *,
    protected: Sequence[Database] = (),
    force: bool = False,
    safety_folder: Path | None = None,
) -> list[str]:
    """Restore a whole backup in one transaction; the sentences say how it differs, if it does.

    Args:
        protected: databases that it may only go to with `force`.
        safety_folder: where a forced restore first backs up what is there now.

    Raises:
        Refused: the target is protected or the backup's own source, and `force` is not given.
        RestoreFailed: the file is not whole, or pg_restore failed; the target is as it was.
    """
    known = check(backup)
    _refuse_source(target, known, protected, force)
    if force and safety_folder is not None and _reachable(target):
        before = safety_folder / backups.file_name(datetime.now(UTC), "pre_restore_backup")
        backups.make(target, before, prove=False)
    if target.kind == "sqlite":
        _replace_sqlite(backup, target)
    else:
        _pg_restore(backup, target)
    if known is None:
        return []
    with target.connect() as connection:
        return census.differences(known.tables, census.take(connection))


def restore_table(backup: Path, table: str, target: Database, *, exact: bool = False) -> int:
    """Bring the rows of one table back to the backup's; the number of rows written or removed.

    Rows of the backup replace those with the same primary key. Rows that came later stay, unless
    `exact`. All in one transaction; other tables are not touched, and foreign keys hold.

    Raises:
        RestoreFailed: nothing was changed.
        ConfigurationError: there is no such table, or it has no primary key.
    """
    check(backup)
    if target.kind == "sqlite":
        raise ConfigurationError("One table alone can be restored into PostgreSQL only.")
    with tempfile.TemporaryDirectory(prefix="mina-table-") as folder:
        copied = Path(folder) / "rows.copy"
        with target.connect() as connection:
            table, columns, keys = _columns(connection, table)
        try:
            with scratch.restored(target, backup) as old:
                _psql(old, [f"\\copy {table} ({', '.join(columns)}) TO '{copied}'"])
        except BackupFailed as exc:
            raise RestoreFailed(str(exc)) from exc
        said = _psql(target, _merge(table, columns, keys, copied, exact=exact))
    return sum(int(line) for line in said.split() if line.isdigit())


def _refuse_source(
    target: Database, known: Manifest | None, protected: Sequence[Database], force: bool
) -> None:
    source = known.source if known else ""
    is_source = source == "|".join(map(str, target.identity))
    if not force and (is_source or any(target.same_as(other) for other in protected)):
        raise Refused(
            f"{target.name} is the database in use. Restore into another one (set "
            "RESTORE_DATABASE_URL), check it, and switch; --force restores over it."
        )


def _reachable(target: Database) -> bool:
    return target.kind != "sqlite" or target.file.is_file()


def _pg_restore(backup: Path, target: Database) -> None:
    argv = ["pg_restore", "--clean", "--if-exists", "--exit-on-error", "--single-transaction"]
    result = programs.run(
        [*argv, "--no-password", "--dbname", target.url.database or "", backup],
        timeout_seconds=scratch.RESTORE_SECONDS,
        environment=target.libpq(),
    )
    if result.ok:
        return
    said = result.stderr
    reason = "it is no backup in custom format, or not whole"
    if "permission denied" in said or "must be owner" in said:
        reason = "the role does not own what must be replaced"
    elif "depend" in said and "DROP" in said:
        reason = "something outside the backup depends on its tables"
    elif "connection to server" in said:
        reason = "the server cannot be reached"
    raise RestoreFailed(
        f"{backup.name} was not restored into {target.name}: {reason}. The target is as it was."
    )


def _replace_sqlite(backup: Path, target: Database) -> None:
    partial = files.beside(target.file)
    try:
        files.make_folder(target.file.parent)
        shutil.copyfile(backup, partial)
        with closing(sqlite3.connect(partial)) as whole:
            answer = whole.execute("PRAGMA integrity_check").fetchone()[0]
            if answer != "ok":
                raise RestoreFailed(f"{backup.name} is damaged; {target.file} is as it was.")
            if target.file.exists() and _overwritten(whole, target.file):
                return
        partial.replace(target.file)
        files.sync_folder(target.file.parent)
        for tail in ("-wal", "-shm"):
            target.file.with_name(target.file.name + tail).unlink(missing_ok=True)
    except (OSError, sqlite3.DatabaseError) as exc:
        raise RestoreFailed(
            f"{backup.name} cannot be restored to {target.file}; it is as it was."
        ) from exc
    finally:
        partial.unlink(missing_ok=True)


def _overwritten(whole: sqlite3.Connection, file: Path) -> bool:
    """Whether SQLite itself could put the backup in place, which open connections survive."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            whole.backup(connection)
        except sqlite3.DatabaseError:
            return False
    return True


def _columns(connection: Connection, table: str) -> tuple[str, list[str], list[str]]:
    found = rows(
        connection,
        """
        SELECT to_regclass(:table)::text AS canonical, quote_ident(a.attname) AS name,
          coalesce(a.attnum = ANY(i.indkey), false) AS is_key
        FROM pg_attribute a
        LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
        WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = ''
        ORDER BY a.attnum
        """,
        table=table,
    )
    keys = [row.name for row in found if row.is_key]
    if not found:
        raise ConfigurationError(f"There is no table {table} in the target.")
    if not keys:
        raise ConfigurationError(f"{table} has no primary key; restore the whole backup instead.")
    return found[0].canonical, [row.name for row in found], keys


def _merge(
    table: str, columns: list[str], keys: list[str], copied: Path, *, exact: bool
) -> list[str]:
    listed = ", ".join(columns)
    others = [column for column in columns if column not in keys]
    new = ", ".join(f"EXCLUDED.{column}" for column in others)
    change = (
        f"DO UPDATE SET ({', '.join(others)}) = ROW({new}) "
        f"WHERE ({', '.join(f't.{column}' for column in others)}) IS DISTINCT FROM ({new})"
        if others
        else "DO NOTHING"
    )
    same = " AND ".join(f"o.{key} = t.{key}" for key in keys)
    commands = [
        f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE",
        f"CREATE TEMPORARY TABLE mina_old ON COMMIT DROP AS SELECT {listed} FROM {table} LIMIT 0",  # noqa: S608
        f"\\copy mina_old ({listed}) FROM '{copied}'",
        f"WITH done AS (INSERT INTO {table} AS t ({listed}) OVERRIDING SYSTEM VALUE "  # noqa: S608
        f"SELECT {listed} FROM mina_old ON CONFLICT ({', '.join(keys)}) {change} "
        "RETURNING 1) SELECT count(*) FROM done",
    ]
    if exact:
        commands.append(
            f"WITH gone AS (DELETE FROM {table} t WHERE NOT EXISTS "  # noqa: S608
            f"(SELECT 1 FROM mina_old o WHERE {same}) RETURNING 1) SELECT count(*) FROM gone"
        )
    return commands


def _psql(database: Database, commands: list[str]) -> str:
    argv = ["psql", "-X", "-q", "-A", "-t", "-w", "-1", "-v", "ON_ERROR_STOP=1"]
    for command in commands:
        argv += ["-c", command]
    result = programs.run(
        argv, timeout_seconds=scratch.RESTORE_SECONDS, environment=database.libpq()
    )
    if not result.ok:
        raise RestoreFailed(
            f"The table was not restored into {database.name} (psql ended with {result.code}); "
            "nothing was changed."
        )
    return result.stdout
