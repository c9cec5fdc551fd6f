"""How far a corruption goes: which rows, from when to when, and what depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.operator.database.backup import manifest
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.database.integrity import integrity
from mina_ops.operator.database.integrity.expectations import Expectations
from mina_ops.operator.database.integrity.findings import Finding, Report

_TIME_COLUMNS = sealed("""
SELECT quote_ident(a.attname) AS name FROM pg_attribute AS a
WHERE (a.attrelid = (to_regclass(:table)::oid)) AND ((NOT a.attisdropped)
  AND (a.atttypid = ANY (ARRAY['timestamp'::regtype::oid, 'timestamptz'::regtype::oid])))
ORDER BY a.attname <> ALL (ARRAY['created_at', 'inserted_at', 'updated_at']), a.attnum LIMIT 1
""")
_DEPENDANTS = sealed("""
SELECT DISTINCT (quote_ident(n.nspname) || '.') || quote_ident(c.relname) AS name
FROM pg_constraint AS con JOIN pg_class AS c ON c.oid = con.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (con.contype = 'f')
  AND ((con.confrelid = (to_regclass(:table)::oid)) AND (con.conrelid <> con.confrelid))
ORDER BY 1
""")


@dataclass(frozen=True)
class Extent:
    """One damaged table.

    Attributes:
        table: quoted and with its schema, as SQL names it.
        rows: how many rows are known to be affected.
        first, last: when the first and the last of them were made; None where it is not known.
        dependants: tables with a foreign key to it.
    """

    table: str
    faults: tuple[str, ...]
    rows: int
    first: str | None
    last: str | None
    dependants: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """The extent of a corruption, the backup to go back to, and what to type next.

    Attributes:
        backup: the newest backup of this database that was proven by a restore; None: none.
        backup_at: when it was made, ISO 8601.
        steps: what to type, in this order.
    """

    report: Report
    extents: tuple[Extent, ...]
    backup: str | None
    backup_at: str | None
    steps: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The analysis as JSON's types."""
        return {
            **self.report.to_json(),
            "extents": [asdict(extent) for extent in self.extents],
            "backup": self.backup,
            "backup_at": self.backup_at,
            "steps": list(self.steps),
        }

    def to_text(self) -> str:
        """The analysis as lines for a terminal."""
        lines = [self.report.to_text(), ""]
        for extent in self.extents:
            lines.append(f"Table {extent.table}: {extent.rows} rows known to be affected")
            if extent.first:
                lines.append(f"  made between {extent.first} and {extent.last}")
            if extent.dependants:
                lines.append(f"  referred to by {', '.join(extent.dependants)}")
        if self.backup:
            lines.append(f"Newest proven backup: {self.backup}, of {self.backup_at}")
        lines += ["", "Next:", *(f"  {n}. {step}" for n, step in enumerate(self.steps, 1))]
        return "\n".join(lines)


def analyse(database: Database, expected: Expectations, backups: Path) -> Analysis:
    """Run the integrity checks, and say how far what they find goes. Only reads.

    Args:
        backups: the folder of backups.

    Raises:
        DatabaseUnreachable: no connection.
    """
    report = integrity.check(database, expected)
    damaged = sorted({found.table for found in report.findings if found.table})
    with database.connect() as connection:
        extents = [
            _extent(connection, table, [f for f in report.findings if f.table == table])
            for table in damaged
        ]
    newest = manifest.newest(backups, database.address) if backups.is_dir() else None
    file = str(newest[0]) if newest else None
    return Analysis(
        report=report,
        extents=tuple(extents),
        backup=file,
        backup_at=newest[1].created_at if newest else None,
        steps=_steps(report, damaged, file),
    )


def _extent(connection: Connection, table: str, findings: Sequence[Finding]) -> Extent:
    sqlite = connection.dialect.name == "sqlite"
    span: tuple[str | None, str | None] = (None, None)
    dependants: tuple[str, ...] = ()
    if not sqlite:
        span = _span(connection, table, [found.where for found in findings if found.where])
        dependants = tuple(row.name for row in rows(connection, _DEPENDANTS, table=table))
    return Extent(
        table=table,
        faults=tuple(found.detail for found in findings),
        rows=sum(found.rows or 0 for found in findings),
        first=span[0],
        last=span[1],
        dependants=dependants,
    )


def _span(
    connection: Connection, table: str, conditions: Sequence[str]
) -> tuple[str | None, str | None]:
    """When the first and the last affected row was made, by the table's first column of times."""
    columns = rows(connection, _TIME_COLUMNS, table=table)
    if not columns or not conditions:
        return None, None
    column = columns[0].name
    where = " OR ".join(f"({condition})" for condition in conditions)
    savepoint = connection.begin_nested()
    try:
        found = rows(
            connection,
            f"SELECT pg_catalog.min(t.{column})::pg_catalog.text AS first, "  # noqa: S608
            f"pg_catalog.max(t.{column})::pg_catalog.text AS last "
            f"FROM {table} AS t WHERE {where}",
        )[0]
    except DBAPIError:
        return None, None
    finally:
        savepoint.rollback()
    return found.first, found.last


def _steps(report: Report, damaged: Sequence[str], backup: str | None) -> tuple[str, ...]:
    if report.clean:
        return ("Nothing is damaged as far as these checks see.",)
    file = quote(backup) if backup else "BACKUP (there is no proven one in the folder of backups)"
    tables = [quote(table) for table in damaged]
    steps = [f"mina-ops db offline {table}" for table in tables]
    steps.append("mina-ops db backup --no-prove   # keep the damaged state for the post-mortem")
    steps += [f"mina-ops db restore {file} --table {table}" for table in tables]
    steps.append("scripts/verify_data_integrity.sh")
    steps += [f"mina-ops db online {table}" for table in tables]
    return tuple(steps)
