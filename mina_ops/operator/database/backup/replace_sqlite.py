"""An SQLite backup put in place of a database, which open connections survive where they can."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from mina_ops import files
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import RestoreFailed


def replace_sqlite(backup: Path, target: Database) -> None:
    """Put the backup in place, whole or not at all.

    Raises:
        RestoreFailed: it is damaged, or the target cannot be written; the target is as it was.
    """
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
            f"{backup.name} cannot be restored to {target.file} ({exc}); it is as it was."
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
