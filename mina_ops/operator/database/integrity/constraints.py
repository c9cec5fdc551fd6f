"""Rows that break what the tables' own rules say, and rules that are switched off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.operator.database.connection import catalogue, failures, trust
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import quoted, run
from mina_ops.operator.database.connection.sealed import sealed_expression
from mina_ops.operator.database.connection.trust import Code
from mina_ops.operator.database.integrity.affected import affected
from mina_ops.operator.database.integrity.expectations import Expectations, Found, Skipped
from mina_ops.operator.database.integrity.findings import Finding

_NOT_FOUND = {"UndefinedFunction", "UndefinedTable", "UndefinedObject"}


def not_valid(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Constraints that were added NOT VALID and never validated."""
    return [
        Finding(
            "not_valid",
            key.table,
            f"{key.name} of {key.table} was never validated",
            f"Mend the rows, then ALTER TABLE {key.table} VALIDATE CONSTRAINT {key.name}.",
        )
        for key in catalogue.constraints(connection)
        if not key.validated
    ]


def check_constraints(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Rows that break a CHECK constraint.

    One that calls code of a role with fewer rights is not asked, since that code would then run
    with ours; the check ends as skipped and names it.
    """
    found: list[Finding] = []
    left_out = []
    unsafe = trust.unsafe_expressions(connection)
    foreign = trust.untrusted(connection, trust.functions(connection))
    for key in catalogue.constraints(connection):
        if key.kind != "c":
            continue
        if key.oid in unsafe:
            left_out.append(f"{unsafe[key.oid]}; check it with the URL of that role")
            continue
        try:
            found += _breaking(connection, key, foreign)
        except DBAPIError as exc:
            left_out.append(f"{key.name} of {key.table} cannot be asked: {failures.said(exc)}")
    if left_out:
        raise Skipped("; ".join(left_out), found)
    return found


def _breaking(connection: Connection, key: Any, foreign: Sequence[Code]) -> list[Finding]:
    """A finding about the rows that break one CHECK.

    A function that the CHECK calls may name another one without its schema, and find it only by
    the search path that the app sets; ours is empty. So if something was not found, and no
    function here belongs to a role that is not trusted, it is asked once more with the database's
    own schemas in the search path.
    """
    own = ", ".join(map(quoted, trust.schemas(connection)))
    paths = [None] if foreign or not own else [None, own]
    for path in paths:
        savepoint = connection.begin_nested()
        try:
            if path:
                run(connection, f"SET LOCAL search_path = {path}")
            # ONLY: tables that inherit it have it themselves; NO INHERIT does not bind them.
            return affected(
                connection,
                "check_constraints",
                f"ONLY {key.table}",
                f"NOT ({sealed_expression(key.expression)})",
                f"rows break the check {key.name}",
            )
        except DBAPIError as exc:
            if path == paths[-1] or type(exc.orig).__name__ not in _NOT_FOUND:
                raise
        finally:
            savepoint.rollback()
    return []


def not_null(connection: Connection, database: Database, expected: Expectations) -> Found:
    """NULL in a column that forbids it."""
    found: list[Finding] = []
    for table in catalogue.not_null(connection):
        for column in table.columns:
            # num_nulls, since the planner may take `IS NULL` for false in such a column.
            found += affected(
                connection,
                "not_null",
                table.table,
                f"pg_catalog.num_nulls(t.{column}) OPERATOR(pg_catalog.>) 0",
                f"rows have NULL in {column}, which forbids it",
            )
    return found


def sequences(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Sequences that will give out a number which the table already holds."""
    found = []
    for sequence in catalogue.sequences(connection):
        if not sequence.readable:
            raise Skipped(f"the role may not read the sequence {sequence.name}")
        number = catalogue.overtaken(connection, sequence)
        if number is not None:
            at = "its start" if sequence.last_value is None else sequence.last_value
            escaped = sequence.name.replace("'", "''")
            found.append(
                Finding(
                    "sequences",
                    sequence.table,
                    f"{sequence.name} is at {at}, but {sequence.table} already holds "
                    f"{sequence.column} {number}; inserts will fail",
                    f"SELECT setval('{escaped}', {number});",
                )
            )
    return found


def disabled_triggers(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Triggers that are switched off; foreign keys are enforced by triggers, too."""
    return [
        Finding(
            "disabled_triggers",
            table.table,
            f"{table.number} triggers of {table.table} are switched off, "
            f"{table.of_foreign_keys} of them of foreign keys",
            f"ALTER TABLE {table.table} ENABLE TRIGGER ALL; then check the foreign keys.",
        )
        for table in catalogue.disabled_triggers(connection)
    ]
