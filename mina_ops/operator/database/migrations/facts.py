"""What the database holds that makes PostgreSQL refuse a migration: views, partitioned tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.database.migrations.change import Change
from mina_ops.operator.database.migrations.lint_rules import BLOCKING, Danger, of_rule

_PARTITIONED = sealed("SELECT c.relname AS name FROM pg_class AS c WHERE c.relkind = 'p'")
_VIEWS = sealed("""
SELECT DISTINCT t.relname AS table, coalesce(a.attname, '') AS column, v.relname AS view
FROM pg_depend AS d
JOIN pg_rewrite AS r ON (r.oid = d.objid) AND (d.classid = 'pg_rewrite'::regclass)
JOIN pg_class AS v ON v.oid = r.ev_class
JOIN pg_class AS t ON (t.oid = d.refobjid)
  AND ((d.refclassid = 'pg_class'::regclass) AND (t.oid <> v.oid))
LEFT JOIN pg_attribute AS a ON (a.attrelid = t.oid)
  AND ((a.attnum = d.refobjsubid) AND (a.attnum > 0))
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema'])
ORDER BY 1, 2, 3
""")


@dataclass(frozen=True)
class Facts:
    """What a database holds that stands in a migration's way.

    Attributes:
        partitioned: tables that are partitioned.
        views: (table, column) -> views that read it; the column is "" for the table itself.
    """

    partitioned: frozenset[str] = frozenset()
    views: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)


def read(connection: Connection) -> Facts | None:
    """The facts of a PostgreSQL database; None of another."""
    if connection.dialect.name != "postgresql":
        return None
    views: dict[tuple[str, str], list[str]] = {}
    for row in rows(connection, _VIEWS):
        views.setdefault((row.table, row.column), []).append(row.view)
        views.setdefault((row.table, ""), [])
        if row.view not in views[row.table, ""]:
            views[row.table, ""].append(row.view)
    return Facts(frozenset(row.name for row in rows(connection, _PARTITIONED)), views)


def refused(revision: str, found: Sequence[Change], facts: Facts) -> Iterator[Danger]:
    """The changes that PostgreSQL refuses because of what is there; the migration fails halfway."""
    gone: set[str] = set()
    for change in found:
        if change.kind == "drop_view":
            gone.add(change.table)
        elif change.kind in ("drop_column", "drop_table", "change_type"):
            column = "" if change.kind == "drop_table" else change.column
            left = [v for v in facts.views.get((change.table, column), ()) if v not in gone]
            if left and "CASCADE" not in change.text.upper():
                subject = f"{change.table}.{change.column}".rstrip(".")
                yield of_rule(revision, "in_a_view", subject, {"views": ", ".join(left)})
        elif change.table in facts.partitioned:
            if change.kind == "create_index" and change.concurrent:
                yield _on_partitions(revision, change, _INDEX)
            elif change.kind == "add_foreign_key" and change.safe:
                yield _on_partitions(revision, change, _KEY)


_INDEX = (
    "built CONCURRENTLY",
    "CREATE INDEX ... ON ONLY {table}; on each partition CREATE INDEX CONCURRENTLY, then ALTER "
    "INDEX ... ATTACH PARTITION, which makes the parent's valid.",
)
_KEY = (
    "added NOT VALID",
    "Add the key to each partition NOT VALID and validate it there; then add it to {table}.",
)


def _on_partitions(revision: str, change: Change, how: tuple[str, str]) -> Danger:
    return Danger(
        revision,
        "on_partitions",
        BLOCKING,
        change.table,
        f"{change.table} is partitioned; {change.column} cannot be {how[0]} on it",
        how[1].format(table=change.table),
    )
