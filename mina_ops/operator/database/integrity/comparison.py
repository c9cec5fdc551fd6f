"""The data beside what it should be: a backup's manifest, and the revisions of the migrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from mina_ops.operator.database.backup import census
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.integrity.affected import RESTORE
from mina_ops.operator.database.integrity.findings import Finding
from mina_ops.operator.database.integrity.rules_of_data import Expectations, Skipped
from mina_ops.operator.database.migrations import revisions

Found = Sequence[Finding]


def row_counts(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Tables that lack rows, or are missing, against a backup's manifest."""
    if expected.tables is None:
        raise Skipped("no manifest to compare with (--manifest)")
    counted = census.take(connection, fingerprints=expected.exact)
    if expected.exact:
        said = [(text, text.split(" ")[0]) for text in census.differences(expected.tables, counted)]
    else:
        said = [(text, name) for name, text in _lacking(expected, expected.tables, counted)]
    return [Finding("row_counts", name, text, RESTORE) for text, name in said]


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


def _lacking(
    expected: Expectations, tables: Mapping[str, Count], counted: Mapping[str, Count]
) -> list[tuple[str, str]]:
    said = []
    for name, before in tables.items():
        after = counted.get(name)
        if after is None:
            said.append((name, f"{name} is missing"))
        elif after.rows < before.rows * (1 - expected.shrunk):
            said.append((name, f"{name} has {after.rows} rows, {before.rows} at the backup"))
    return said
