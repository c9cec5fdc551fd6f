"""Finds out from the servers whether two URLs lead to the same database."""

from __future__ import annotations

from collections.abc import Sequence
from operator import not_
from pathlib import Path

from mina_ops import same_database
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import DatabaseUnreachable
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.waiting import wait_until

_OTHERS = sealed("""
SELECT CASE WHEN a.application_name <> '' THEN a.application_name ELSE 'unnamed' END AS name,
  count(*) AS number
FROM pg_stat_activity AS a
WHERE (a.datname = current_database()) AND (a.pid <> pg_backend_pid())
  AND (coalesce(a.application_name, '') <> 'mina-ops')
  AND (coalesce(a.backend_type, 'client backend') = 'client backend')
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3
""")

_LEAVING_SECONDS = 1.0
_POLL_SECONDS = 0.1


def same(one: Database, other: Database) -> bool | None:
    """Whether both URLs lead to one database; None if one of them cannot be asked now.

    Users, drivers and the way there do not count. A standby counts as its primary.
    """
    if one.kind != other.kind:
        return False
    if one.kind == "sqlite":
        return same_database.same_file(one.file, other.file)
    if one.address == other.address:
        return True
    try:
        with one.connect() as mine, other.connect() as theirs:
            return same_database.same(mine, theirs)
    except DatabaseUnreachable:
        return None


def durable(database: Database) -> str:
    """The name that a database bears in backups' manifests; "" if its server does not tell."""
    if database.kind == "sqlite":
        return ""
    with database.connect() as connection:
        return same_database.durable(connection)


def _users_of_file(file: Path) -> Sequence[str]:
    """SQLite keeps no list. A write-ahead log goes when the last program closes the file."""
    log = file.with_name(f"{file.name}-wal")
    return [f"somebody (there is {log.name})"] if log.exists() else []


def users(database: Database) -> Sequence[str]:
    """Which programs are connected to a database now, beside ours, as "3 of gunicorn".

    The server lists a session for a moment after its client has gone, so whoever is found is
    looked for again, for a second.
    """
    if database.kind == "sqlite":
        return _users_of_file(database.file)
    with database.connect(isolation_level="AUTOCOMMIT") as connection:

        def others() -> list[str]:
            return [f"{row.number} of {row.name}" for row in rows(connection, _OTHERS)]

        return wait_until(others, _LEAVING_SECONDS, pause=_POLL_SECONDS, enough=not_)
