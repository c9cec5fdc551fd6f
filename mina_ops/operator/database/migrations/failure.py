"""What a failed migration left behind: where it stopped, what is half done, what is locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from mina_ops.errors import OperatorError
from mina_ops.operator.database.backup import manifest
from mina_ops.operator.database.connection import catalogue
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.database.migrations import changes, render
from mina_ops.operator.database.migrations.revisions import Tree, current
from mina_ops.operator.system import programs

_WAITING = sealed("""
SELECT a.pid, coalesce(a.application_name, '') AS name, a.state,
  (extract(epoch FROM (now() - a.xact_start)))::int AS seconds,
  cardinality(pg_blocking_pids(a.pid)) > 0 AS waits
FROM pg_stat_activity AS a
WHERE (a.datname = current_database()) AND ((a.pid <> pg_backend_pid())
  AND ((a.xact_start IS NOT NULL)
  AND (((a.state = 'idle in transaction') OR (cardinality(pg_blocking_pids(a.pid)) > 0))
  AND ((now() - a.xact_start) > CAST('5 seconds' AS pg_catalog.interval)))))
ORDER BY a.xact_start LIMIT 10
""")


@dataclass(frozen=True)
class Failure:
    """What can be said about a failed migration without changing anything.

    Attributes:
        at: the revisions that the database names; none before the first migration.
        head: the newest revision of the code.
        pending: the migrations between both, a line each.
        half_done: what of the first pending migration is there already, and indexes that are
            invalid: it stands in the way of running the migration again.
        waiting: transactions that hold locks or wait for one, for more than 5 s.
    """

    database: str
    at: tuple[str, ...]
    head: str
    pending: tuple[str, ...]
    half_done: tuple[str, ...]
    waiting: tuple[str, ...]
    timeline: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The failure as JSON's types."""
        return asdict(self)

    def to_text(self) -> str:
        """The failure as lines for a terminal."""
        lines = [
            f"Database {self.database} is at {', '.join(self.at) or 'no revision'}; "
            f"the code's head is {self.head}."
        ]
        lines += [f"Pending: {line}" for line in self.pending] or ["Nothing is pending."]
        lines += [f"Half done: {line}" for line in self.half_done]
        lines += [f"Open transaction: {line}" for line in self.waiting]
        lines += [f"Remark: {line}" for line in self.remarks]
        if self.timeline:
            lines += ["", "Timeline (UTC):", *(f"  {line}" for line in self.timeline)]
        return "\n".join(lines)


def analyse(
    database: Database,
    migrations: Path,
    *,
    version_table: str = "alembic_version",
    timeline: Sequence[str] | None = None,
) -> Failure:
    """What a failed migration left behind; reads only.

    Args:
        timeline: lines of a timeline to show, such as `timeline()` gives.

    Raises:
        DatabaseUnreachable: no connection.
        ConfigurationError: the folder holds no migrations, or several heads.
    """
    tree = Tree(migrations)
    head = tree.head()
    with database.connect() as connection:
        at = current(connection, version_table)
        unknown = [name for name in at if not tree.knows(name)]
        remarks = [f"{name} is in no migration of {migrations}" for name in unknown]
        steps = [] if unknown else tree.between(at, head)
        half = _half_done(connection, render.render(steps[:1], database.kind))
        waiting: list[str] = []
        if database.kind == "postgresql":
            half += [
                f"the index {index.name} of {index.table} is invalid"
                for index in catalogue.indexes(connection)
                if not index.usable
            ]
            waiting = [
                f"pid {row.pid} ({row.name or 'unnamed'}) {row.state}, {row.seconds} s"
                + (", waits for a lock" if row.waits else ", may hold locks")
                for row in rows(connection, _WAITING)
            ]
    return Failure(
        database=database.name,
        at=tuple(at),
        head=head,
        pending=tuple(f"{step.revision} {step.doc or ''}".strip() for step in steps),
        half_done=tuple(half),
        waiting=tuple(waiting),
        timeline=tuple(timeline or ()),
        remarks=tuple(remarks),
    )


def timeline(migrations: Path, backups: Path, journal: Sequence[tuple[str, str]] = ()) -> list[str]:
    """When migrations were committed, backups made and release steps taken: the last 40 lines.

    Args:
        journal: (ISO time in UTC, text) of each step of the releases.
    """
    events = [(time[:19].replace("T", " "), text) for time, text in journal]
    if backups.is_dir():
        for file in sorted(backups.glob("*.manifest.json")):
            backup = file.with_name(file.name.removesuffix(".manifest.json"))
            try:
                known = manifest.read(backup)
            except OperatorError:
                continue
            if known is not None:
                time = known.created.strftime("%Y-%m-%d %H:%M:%S")
                events.append((time, f"backup {backup.name} at revision {known.revision}"))
    events += _commits(migrations)
    return [f"{time}  {text}" for time, text in sorted(events)][-40:]


def _half_done(connection: Connection, first: Sequence[render.Rendered]) -> list[str]:
    """What of the first pending migration is there already, though it counts as not run."""
    found = []
    tables: dict[str, set[str]] = {}
    for column in catalogue.columns(connection):
        tables.setdefault(column.bare, set()).add(column.column)
    for rendered in first:
        for change in changes.changes(rendered):
            columns = tables.get(change.table, set())
            if change.kind == "create_table" and change.table in tables:
                found.append(f"the table {change.table} of {rendered.revision} exists already")
            elif change.kind == "add_column" and change.column in columns:
                found.append(
                    f"the column {change.table}.{change.column} of {rendered.revision} "
                    "exists already"
                )
            elif change.kind == "drop_column" and columns and change.column not in columns:
                found.append(
                    f"the column {change.table}.{change.column} is gone already, which "
                    f"{rendered.revision} is to drop"
                )
    return found


def _commits(migrations: Path) -> list[tuple[str, str]]:
    """(Time in UTC, text) of the last 20 commits to the migrations; [] without git."""
    argv = ["git", "-C", str(migrations), "log", "-n", "20", "--date=format-local:%F %T"]
    try:
        result = programs.run(
            [*argv, "--format=%cd\t%h %s", "--", "versions"],
            timeout_seconds=10,
            environment={"TZ": "UTC"},
        )
    except OperatorError:
        return []
    if not result.ok:
        return []
    pairs = [line.split("\t", 1) for line in result.stdout.splitlines() if "\t" in line]
    return [(time, f"commit {text}") for time, text in pairs]
