"""The checks of an SQLite database's data."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.integrity import comparison
from mina_ops.operator.database.integrity.expectations import Check, Expectations, Found
from mina_ops.operator.database.integrity.findings import Finding

_RESTORE = "Restore a backup: mina-ops db restore FILE."


def structure(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Damaged pages, indexes that miss rows, NULL where it is forbidden: SQLite's own check."""
    try:
        said = [row[0] for row in rows(connection, "PRAGMA integrity_check(100)")]
    except DatabaseError:
        said = ["the file is damaged so far that SQLite cannot read it"]
    if said == ["ok"]:
        return []
    return [Finding("structure", "", line, _RESTORE) for line in said]


def foreign_keys(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Rows whose foreign key refers to no row; SQLite enforces none unless it is told to."""
    lost: dict[tuple[str, str], list[str]] = {}
    for row in rows(connection, "PRAGMA foreign_key_check"):
        lost.setdefault((row[0], row[2]), []).append(str(row[1]))
    return [
        Finding(
            "foreign_keys",
            child,
            f"{child}: rows point at no row of {parent}",
            "Mend or remove them; set PRAGMA foreign_keys = ON on each connection.",
            rows=len(ids),
            sample=tuple(f"rowid={rowid}" for rowid in ids[:5]),
        )
        for (child, parent), ids in lost.items()
    ]


CHECKS: Mapping[str, Check] = {
    "structure": structure,
    "foreign_keys": foreign_keys,
    "row_counts": comparison.row_counts,
    "revision": comparison.revision,
}
