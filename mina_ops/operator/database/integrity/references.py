"""Checks for rows that refer to a row that is not there, by a foreign key or without one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from mina_ops.operator.database.connection import catalogue, names
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import quoted
from mina_ops.operator.database.integrity.affected import affected
from mina_ops.operator.database.integrity.expectations import Expectations, Found
from mina_ops.operator.database.integrity.findings import Finding

# Child table and column, parent table and column, as SQL names them.
Reference = tuple[str, str, str, str]
_EQUALS = "OPERATOR(pg_catalog.=)"
# What keys are made of; other types may compare in a way of their own.
_KEY_TYPES = {"smallint", "integer", "bigint", "uuid", "text", "character varying", "numeric"}


def foreign_keys(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Rows whose foreign key refers to no row, though the constraint forbids it."""
    found: list[Finding] = []
    for key in catalogue.constraints(connection):
        if key.kind == "f":
            pairs = list(zip(key.columns, key.parent_columns, key.equals, strict=True))
            found += _lost(connection, "foreign_keys", key.table, key.parent, pairs, key.name)
    return found


def orphans(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Rows that refer to a missing row by a column without a foreign key.

    Such columns are those that `database.references` names, and those that look like a reference:
    `session_id` beside a table `sessions` with a key `id` of the same type.
    """
    found: list[Finding] = []
    told = [_named(connection, database, line) for line in expected.references]
    for child, column, parent, target in [*told, *_lookalikes(connection, expected)]:
        pairs = [(column, target, _EQUALS)]
        found += _lost(connection, "orphans", child, parent, pairs, "its name")
    return found


def _lost(
    connection: Connection,
    check: str,
    child: str,
    parent: str,
    pairs: Sequence[tuple[str, str, str]],
    how: str,
) -> list[Finding]:
    given = " AND ".join(f"t.{mine} IS NOT NULL" for mine, _, _ in pairs)
    same = " AND ".join(f"(p.{theirs} {equals} t.{mine})" for mine, theirs, equals in pairs)
    where = f"{given} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {same})"  # noqa: S608
    what = f"rows point at no row of {parent} (by {how})"
    return affected(connection, check, child, where, what, ", ".join(mine for mine, _, _ in pairs))


def _named(connection: Connection, database: Database, line: Sequence[str]) -> Reference:
    child, column, parent, target = line
    return (
        names.table(connection, child, database.name).sql,
        quoted(column),
        names.table(connection, parent, database.name).sql,
        quoted(target),
    )


def _lookalikes(connection: Connection, expected: Expectations) -> Iterator[Reference]:
    """Columns without a foreign key that are named after a table, and are not to be ignored."""
    columns = catalogue.columns(connection)
    keys = {(c.schema, c.bare): c for c in columns if c.is_key and c.column == "id"}
    guarded = {
        (key.table, column)
        for key in catalogue.constraints(connection)
        if key.kind == "f"
        for column in key.columns
    }
    for column in columns:
        if f"{column.bare}.{column.column}" in expected.ignore:
            continue
        parent = _parent(column, keys)
        known = (column.table, column.column) in guarded
        if parent is not None and not known and parent.type == column.type:
            yield column.table, column.column, parent.table, "id"


def _parent(column: Any, keys: dict[tuple[str, str], Any]) -> Any:
    """The column `id` of the table that a column such as `session_id` is named after, or None."""
    stem = column.column.removesuffix("_id")
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", column.column)
    if stem == column.column or not plain or column.type not in _KEY_TYPES:
        return None
    tables = ((column.schema, name) for name in (stem, f"{stem}s", f"{stem}es"))
    return next((keys[table] for table in tables if table in keys), None)
