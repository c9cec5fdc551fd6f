"""Do two connections lead to one database? The servers are asked, since a database has many names:
`localhost` and `127.1`, a pooler, a tunnel, a socket, an address from before a move.

PostgreSQL answers with its cluster's system identifier and the database's oid. A copy of a whole
cluster bears the same two, so what decides is a lock that only sessions of one database share.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

_DATABASE = """
SELECT d.oid::pg_catalog.text AS oid, pg_catalog.pg_is_in_recovery() AS standby
FROM pg_catalog.pg_database AS d
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
"""
# A managed server may forbid the second.
_MAY_ASK = """
SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
"""
_CLUSTER = "SELECT c.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() AS c"


def same(one: Connection, other: Connection) -> bool:
    """Whether both connections lead to the same database.

    A standby counts as its primary. Both must be in a transaction or able to begin one (no
    AUTOCOMMIT); each takes an advisory lock with a random key until its transaction ends.
    """
    kinds = {one.dialect.name, other.dialect.name}
    if kinds == {"sqlite"}:
        return same_file(_file(one), _file(other))
    if kinds != {"postgresql"}:
        return False
    clusters = (_cluster(one), _cluster(other))
    if None not in clusters and clusters[0] != clusters[1]:
        return False
    mine, theirs = _database(one), _database(other)
    if mine.oid != theirs.oid:
        return False
    return bool(mine.standby or theirs.standby or _share_locks(one, other))


def durable(connection: Connection) -> str:
    """The name that a PostgreSQL database keeps wherever it is reached and however often it is
    restarted, `SYSTEM_IDENTIFIER/OID`; "" where the server does not tell, and for others."""
    if connection.dialect.name != "postgresql":
        return ""
    cluster = _cluster(connection)
    return f"{cluster}/{_database(connection).oid}" if cluster else ""


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to one file, by device and inode; by name while it does not exist."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _file(connection: Connection) -> str:
    found = connection.exec_driver_sql("PRAGMA database_list").fetchall()
    return next((str(row[2]) for row in found if row[1] == "main"), "")


def _cluster(connection: Connection) -> str | None:
    if not connection.exec_driver_sql(_MAY_ASK).scalar_one():
        return None
    return str(connection.exec_driver_sql(_CLUSTER).scalar_one())


def _database(connection: Connection) -> Any:
    return connection.exec_driver_sql(_DATABASE).one()


def _share_locks(one: Connection, other: Connection) -> bool:
    key = secrets.randbits(62)
    one.exec_driver_sql(f"SELECT pg_catalog.pg_advisory_xact_lock({key}::pg_catalog.int8)")
    got = other.exec_driver_sql(
        f"SELECT pg_catalog.pg_try_advisory_xact_lock({key}::pg_catalog.int8)"
    ).scalar_one()
    return not got
