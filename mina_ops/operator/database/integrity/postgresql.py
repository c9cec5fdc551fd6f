"""The checks of a PostgreSQL database's data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from mina_ops.operator.database.backup import census
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.connection import catalogue
from mina_ops.operator.database.connection.connect import Database, rows, verbatim
from mina_ops.operator.database.integrity import storage
from mina_ops.operator.database.integrity.findings import Finding
from mina_ops.operator.database.integrity.rules_of_data import Expectations, Skipped
from mina_ops.operator.database.migrations import revisions

_SAMPLE = 5
_RESTORE = "Restore the table from a backup: mina-ops db restore FILE --table NAME."
Found = Sequence[Finding]
Check = Callable[[Connection, Database, Expectations], Found]


def foreign_keys(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Rows whose foreign key leads nowhere, though the constraint says that it cannot."""
    found = []
    for key in catalogue.constraints(connection):
        if key.kind == "f":
            pairs = list(zip(key.columns, key.parent_columns, strict=True))
            found += _lost(
                connection, "foreign_keys", key.table, pairs, key.parent, f"by {key.name}"
            )
    return found


def orphans(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Rows that point at a missing row by a column that has no foreign key."""
    found = []
    for child, column, parent, target in _soft_references(connection, expected):
        found += _lost(connection, "orphans", child, [(column, target)], parent, "by its name")
    return found


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
    """Rows that break a CHECK."""
    found = []
    for key in catalogue.constraints(connection):
        if key.kind == "c":
            found += _where(
                connection,
                "check_constraints",
                key.table,
                f"NOT ({key.expression})",
                f"rows break the check {key.name}",
                # Tables that inherit it have it themselves; NO INHERIT does not bind them.
                only="ONLY ",
            )
    return found


def not_null(connection: Connection, database: Database, expected: Expectations) -> Found:
    """NULL in a column that forbids it."""
    found = []
    for table in catalogue.not_null(connection):
        for column in table.columns:
            # num_nulls, since the planner may take `IS NULL` for false in such a column.
            found += _where(
                connection,
                "not_null",
                table.table,
                f"num_nulls({column}) > 0",
                f"rows have NULL in {column}, which forbids it",
            )
    return found


def sequences(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Sequences that will give out a number which the table already holds."""
    found = []
    for sequence in catalogue.sequences(connection):
        if sequence.increment < 0:
            continue
        if not sequence.readable:
            raise Skipped(f"the role may not read the sequence {sequence.name}")
        highest = rows(
            connection,
            f"SELECT max({sequence.column})::numeric AS n FROM {sequence.table}",  # noqa: S608
        )[0].n
        if highest is not None and highest > (sequence.last_value or 0):
            found.append(
                Finding(
                    "sequences",
                    sequence.table,
                    f"{sequence.name} is at {sequence.last_value or 0}, but {sequence.table} "
                    f"already holds {sequence.column} {highest}; inserts will fail",
                    f"SELECT setval('{sequence.name}', {highest});",
                )
            )
    return found


def disabled_triggers(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Triggers that are switched off; those of foreign keys guard nothing then."""
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


def row_counts(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Tables that lack rows, or are missing, against a backup's manifest."""
    return compare_counts(connection, expected)


def compare_counts(connection: Connection, expected: Expectations) -> Found:
    """The findings of `row_counts`, for either kind of database."""
    if expected.tables is None:
        raise Skipped("no manifest to compare with (--manifest)")
    counted = census.take(connection, fingerprints=expected.exact)
    if expected.exact:
        said = [(text, text.split(" ")[0]) for text in census.differences(expected.tables, counted)]
    else:
        said = [(text, name) for name, text in _lacking(expected, counted)]
    return [Finding("row_counts", name, text, _RESTORE) for text, name in said]


def revision(connection: Connection, database: Database, expected: Expectations) -> Found:
    """A revision that is missing, doubled or unknown to the migrations."""
    if expected.migrations is None or not (expected.migrations / "versions").is_dir():
        raise Skipped("no folder of migrations to compare with (--migrations)")
    tree = revisions.Tree(expected.migrations)
    at = revisions.current(connection, expected.version_table)
    advice = "Find out which migration ran last: scripts/analyze_migration_failure.sh."
    if not at:
        return [Finding("revision", "", f"{expected.version_table} names no revision", advice)]
    found = [
        Finding("revision", "", f"the revision {name} is in no migration", advice)
        for name in at
        if not tree.knows(name)
    ]
    if len(at) > 1 and len(tree.heads) == 1:
        found.append(Finding("revision", "", f"there are {len(at)} revisions at once", advice))
    return found


CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        storage.readable,
        foreign_keys,
        orphans,
        not_valid,
        check_constraints,
        not_null,
        sequences,
        storage.unique_keys,
        storage.invalid_indexes,
        disabled_triggers,
        storage.structure,
        storage.checksums,
        row_counts,
        revision,
    )
}


def _lost(
    connection: Connection,
    check: str,
    child: str,
    pairs: Sequence[tuple[str, str]],
    parent: str,
    how: str,
) -> list[Finding]:
    given = " AND ".join(f"t.{mine} IS NOT NULL" for mine, _ in pairs)
    same = " AND ".join(f"p.{theirs} = t.{mine}" for mine, theirs in pairs)
    where = f"{given} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {same})"  # noqa: S608
    columns = ", ".join(mine for mine, _ in pairs)
    return _where(
        connection, check, child, where, f"rows point at no row of {parent} ({how})", columns
    )


def _where(
    connection: Connection,
    check: str,
    table: str,
    where: str,
    what: str,
    shown: str = "",
    only: str = "",
) -> list[Finding]:
    where = verbatim(where)
    source = f"FROM {only}{table} AS t WHERE {where}"
    number = rows(connection, f"SELECT count(*) AS n {source}")[0].n
    if not number:
        return []
    sample = rows(
        connection,
        f"SELECT to_jsonb(t)::text AS row {source} LIMIT {_SAMPLE}"
        if not shown
        else f"SELECT DISTINCT concat_ws(', ', {shown}) AS row {source} LIMIT {_SAMPLE}",
    )
    prefix = f"{shown}=" if shown else ""
    # Whole rows would put people's data into a terminal; the key alone says which they are.
    shown_rows = tuple(f"{prefix}{row.row}" for row in sample) if shown else ()
    return [
        Finding(
            check, table, f"{table}: {what}", _RESTORE, rows=number, sample=shown_rows, where=where
        )
    ]


def _soft_references(
    connection: Connection, expected: Expectations
) -> list[tuple[str, str, str, str]]:
    columns = catalogue.columns(connection)
    keys = {(c.schema, c.bare): c for c in columns if c.is_key and c.column == "id"}
    guarded = {
        (key.table, column)
        for key in catalogue.constraints(connection)
        if key.kind == "f"
        for column in key.columns
    }
    found = list(expected.references)
    for column in columns:
        stem = column.column.removesuffix("_id")
        named = f"{column.bare}.{column.column}"
        quoted = column.column if re.fullmatch(r"[a-z_][a-z0-9_]*", column.column) else ""
        if stem == column.column or not quoted or named in expected.ignore:
            continue
        parent = next(
            (
                keys[k]
                for name in (stem, f"{stem}s", f"{stem}es")
                if (k := (column.schema, name)) in keys
            ),
            None,
        )
        known = (column.table, column.column) in guarded
        if parent is not None and not known and parent.type == column.type:
            found.append((column.table, column.column, parent.table, "id"))
    return found


def _lacking(expected: Expectations, counted: Mapping[str, Count]) -> list[tuple[str, str]]:
    assert expected.tables is not None
    said = []
    for name, before in expected.tables.items():
        after = counted.get(name)
        if after is None:
            said.append((name, f"{name} is missing"))
        elif after.rows < before.rows * (1 - expected.shrunk):
            text = f"{name} has {after.rows} rows, {before.rows} at the backup"
            said.append((name, text))
    return said
