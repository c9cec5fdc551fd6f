"""Dropping a database that the operator made, whoever else is connected to it."""

from __future__ import annotations

import logging

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.operator.database.connection.failures import sqlstate
from mina_ops.operator.database.connection.queries import quoted, run

_log = logging.getLogger(__name__)

_IN_USE = "55006"
_NOT_ALLOWED = "42501"
# FORCE is not the first try: it wants to end autovacuum as well, which only a superuser may. The
# plain statement has the server end autovacuum itself, and waits 5 s for sessions to end.
_TRIES = ("", " WITH (FORCE)", "")


def drop(connection: Connection, name: str) -> None:
    """Drop a database if it is there. Idempotent, blocks up to 15 s.

    Sessions that this role may end are ended. Where one stays that it may not end, such as a
    superuser's monitoring, the database stays, and the log says so.

    Args:
        connection: to another database of the server, with AUTOCOMMIT.
    """
    for options in _TRIES:
        try:
            run(connection, f"DROP DATABASE IF EXISTS {quoted(name)}{options}")
        except DBAPIError as exc:
            if sqlstate(exc) not in (_IN_USE, _NOT_ALLOWED):
                raise
        else:
            return
    _log.warning(
        "The database %s stays: a session is in it that this role may not end. "
        "When it has ended, type: DROP DATABASE %s",
        name,
        quoted(name),
    )
