"""One table's rows as a backup has them, by a staging table and in one transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.backup import copying, merge, proof, traits
from mina_ops.operator.database.backup.manifest import Manifest
from mina_ops.operator.database.backup.merge import Shape
from mina_ops.operator.database.backup.restore import check
from mina_ops.operator.database.connection import failures, names, trust
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import BackupFailed, Refused, RestoreFailed
from mina_ops.operator.database.connection.names import TableName

# What another table's rows need, and this one's do not.
_NEEDLESS = {
    *(" BLOB ", " BLOBS ", " BLOB METADATA ", " INDEX ", " FK CONSTRAINT ", " TRIGGER "),
    *(" RULE ", " POLICY ", " ROW SECURITY ", " MATERIALIZED VIEW DATA ", " SEQUENCE SET "),
}
_DATA = " TABLE DATA "


@dataclass(frozen=True)
class TableRestored:
    """How many rows were written or removed, and what one should know of it."""

    rows: int
    remarks: Sequence[str] = ()


def restore_table(
    backup: Path, table: str, target: Database, *, exact: bool = False, trust_code: bool = False
) -> TableRestored:
    """Bring the rows of one table back to the backup's.

    Rows of the backup replace those with the same primary key. Rows that came later stay, unless
    `exact`. Columns that the table had then and has no longer are left out; those that it got
    since keep their values, or get their defaults. Sequences go on behind the highest number.
    The table's own triggers and rules do not fire; foreign keys hold, also at the end.

    Raises:
        RestoreFailed: nothing was changed; the message has the server's words.
        ConfigurationError: there is no such table, or it has no key and not `exact`.
        Refused: it would run code of lesser roles with the operator's rights.
    """
    known = check(backup)
    if target.kind == "sqlite":
        raise ConfigurationError("One table alone can be restored into PostgreSQL only.")
    with tempfile.TemporaryDirectory(prefix="mina-table-") as folder:
        file = Path(folder) / "rows.copy"
        with target.connect() as connection:
            name = names.table(connection, table, target.name)
            shape = merge.shape(connection, name)
            situation = _situation(connection, known)
            if not trust_code:
                _refuse_code(connection, name)
        if not shape.keys and not exact:
            raise ConfigurationError(
                f"{table} has no primary key; --exact replaces all its rows, or restore the whole "
                "backup instead."
            )
        columns, remarks = _take_out(backup, target, name, shape, situation, file)
        with target.connect() as connection:
            try:
                with connection.begin():
                    done = merge.merge(connection, shape, columns, file, exact=exact)
            except DBAPIError as exc:
                raise RestoreFailed(_unchanged(table, target, failures.said(exc))) from exc
    return TableRestored(done.rows, [*remarks, *done.remarks])


def _situation(connection: Connection, known: Manifest | None) -> proof.Situation:
    if known is None:
        return proof.situation(connection, traits.read(connection), trust.load_code(connection))
    return proof.situation(connection, known.traits, known.code)


def _refuse_code(connection: Connection, table: TableName) -> None:
    trust.refuse_event_triggers(connection)
    code = trust.untrusted(connection, trust.written_code(connection, table.oid))
    if code:
        raise Refused(
            f"Writing to {table.plain} would run code of another role with the rights of yours: "
            f"{code[0]}. Use the URL of {code[0].owner}, or say --trust-code."
        )


def _take_out(
    backup: Path,
    target: Database,
    table: TableName,
    shape: Shape,
    situation: proof.Situation,
    file: Path,
) -> tuple[list[str], list[str]]:
    """Write the backup's rows into a file; the columns in it, and remarks on the others."""

    def leave_out(line: str) -> bool:
        if _DATA in line and not shape.partitioned:
            return f"{_DATA}{table.schema} {table.bare} " not in line
        return any(kind in line for kind in _NEEDLESS)

    try:
        with (
            proof.restored(target, backup, situation, leave_out) as (copy, _),
            copy.connect() as connection,
        ):
            old = merge.shape(connection, names.table(connection, table.sql, backup.name))
            had = [name for name in old.columns if name in shape.columns]
            gone = [name for name in old.columns if name not in shape.columns]
            _require_key(backup, table, shape, old)
            chosen = f"SELECT {', '.join(shape.staged(had))} FROM {old.sql}"  # noqa: S608
            copying.out(connection, f"COPY ({chosen}) TO STDOUT", file)
    except BackupFailed as exc:
        raise RestoreFailed(str(exc)) from exc
    except ConfigurationError as exc:
        raise RestoreFailed(f"{backup.name} holds no table {table.plain}.") from exc
    new = [name for name in shape.columns if name not in had]
    remarks = [f"the table has no column {', '.join(gone)} any more"] if gone else []
    remarks += [f"{', '.join(new)} came later and was not touched"] if new else []
    return had, remarks


def _require_key(backup: Path, table: TableName, shape: Shape, old: Shape) -> None:
    missing = {key for key, _ in shape.keys} - {*old.columns, *old.generated}
    if missing:
        raise RestoreFailed(
            f"{table.plain} in {backup.name} has no {', '.join(sorted(missing))}, which is in the "
            "table's primary key today, so its rows cannot be matched. Nothing was changed; "
            "restore the backup into a database of its own and copy the rows by hand."
        )


def _unchanged(table: str, target: Database, why: str) -> str:
    return f"{table} was not restored into {target.name}: {why}. Nothing was changed."
