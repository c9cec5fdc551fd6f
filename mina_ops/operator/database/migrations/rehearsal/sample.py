"""A few rows of each table in the scratch copy, so that a migration meets rows at all."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.errors import OperatorError
from mina_ops.operator.database.backup import census
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import literal, rows, run
from mina_ops.operator.database.connection.sealed import sealed

_ROWS = 5
# Rows that point at others fit once those are there.
_ROUNDS = 3
_TEXT = sealed("SELECT textin(record_out(t.*)) AS row")
_COLUMNS = sealed("""
SELECT quote_ident(a.attname) AS name FROM pg_attribute AS a
WHERE (a.attrelid = (to_regclass(:table)::oid))
  AND ((a.attnum > 0) AND ((NOT a.attisdropped) AND (a.attgenerated = '')))
ORDER BY a.attnum
""")


def fill(source: Database, copy: Database) -> None:
    """Put up to five rows of each table into the copy; those that fit nowhere are left out."""
    waiting: dict[str, list[str]] = {}
    with source.connect() as connection:
        for table in census.tables(connection):
            savepoint = connection.begin_nested()
            with suppress(DBAPIError):
                found = rows(connection, f"{_TEXT} FROM {table} AS t LIMIT {_ROWS}")
                waiting[table] = [row.row for row in found]
            savepoint.rollback()
    with suppress(OperatorError), copy.connect() as connection, connection.begin():
        for _ in range(_ROUNDS):
            for table, texts in waiting.items():
                waiting[table] = [text for text in texts if not _put(connection, table, text)]


def _put(connection: Connection, table: str, row: str) -> bool:
    columns = [found.name for found in rows(connection, _COLUMNS, table=table)]
    if not columns:
        return True
    savepoint = connection.begin_nested()
    try:
        run(
            connection,
            f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE "  # noqa: S608
            f"SELECT {', '.join(f'(r.row).{name}' for name in columns)} "
            f"FROM (SELECT CAST({literal(row)} AS {table}) AS row) AS r",
        )
    except DBAPIError:
        savepoint.rollback()
        return False
    savepoint.commit()
    return True
