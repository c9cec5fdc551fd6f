"""Checks that compare the data with a backup's manifest, and with the folder of migrations."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from mina_ops.operator.database.backup import census
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.integrity.affected import RESTORE
from mina_ops.operator.database.integrity.expectations import Expectations, Found, Skipped
from mina_ops.operator.database.integrity.findings import Finding
from mina_ops.operator.database.migrations import revisions


def row_counts(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Tables that are missing, or have fewer rows than a backup's manifest says.

    By default half of a table's rows may be gone; with `expected.exact`, none.
    """
    if expected.tables is None:
        raise Skipped("no manifest to compare with (--manifest)")
    counted = census.take(connection, fingerprints=expected.exact)
    if expected.exact:
        found = census.differences(expected.tables, counted)
    else:
        found = _lacking(expected.tables, counted, expected.shrunk)
    return [Finding("row_counts", name, text, RESTORE) for name, text in found.items()]


def revision(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Whether the database names one revision, and one that the migrations have."""
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


def _lacking(
    before: Mapping[str, Count], now: Mapping[str, Count], shrunk: float
) -> dict[str, str]:
    """Table -> a sentence, for each that is missing or lost more than that share of its rows."""
    found = {}
    for name, count in before.items():
        if name not in now:
            found[name] = f"{name} is missing"
        elif now[name].rows < count.rows * (1 - shrunk):
            found[name] = f"{name} has {now[name].rows} rows, {count.rows} at the backup"
    return found
