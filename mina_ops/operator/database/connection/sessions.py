"""How a session of the operator begins: names in `pg_catalog` alone, and every byte readable.

The search path travels with the login, so that not even the driver's first question is asked
under a path that the database's owner chose. Some poolers let no such option through; there it
is set right afterwards, and anew in each transaction, since a pooler may change the session
between two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from mina_ops.operator.database.connection.failures import CONNECT_SECONDS

SEARCH_PATH = "pg_catalog, pg_temp"
_OPTION = "-c search_path=pg_catalog,pg_temp"
_ON_A_POOLER = "mina_ops_on_a_pooler"
_REFUSED_OPTIONS = "unsupported startup parameter"


def pinned(options: Mapping[str, str]) -> dict[str, str]:
    """Options of libpq with ours: the search path, a name, a limit for connecting."""
    given = options.get("options", "")
    return {
        "connect_timeout": str(CONNECT_SECONDS),
        **options,
        "application_name": "mina-ops",
        "options": f"{given} {_OPTION}".strip(),
    }


def open_session(dialect: Any, record: Any, args: Any, parameters: dict[str, Any]) -> Any:
    """SQLAlchemy's `do_connect`: the driver's connection, its search path pinned."""
    given = {name: value for name, value in parameters.items() if isinstance(value, str)}
    wanted = {**parameters, **pinned(given), "client_encoding": "UTF8"}
    try:
        session = dialect.connect(*args, **wanted)
    except dialect.loaded_dbapi.OperationalError as exc:
        if _REFUSED_OPTIONS not in str(exc):
            raise
        wanted.pop("options")
        session = dialect.connect(*args, **wanted)
        record.info[_ON_A_POOLER] = True
        _say(session, f"SET search_path = {SEARCH_PATH}")
    if _encoding(session) == "SQL_ASCII":
        # Its texts may be in any encoding; this one reads and writes each byte as it is.
        _say(session, "SET client_encoding = 'LATIN1'")
    return session


def begin_on_a_pooler(connection: Connection) -> None:
    """SQLAlchemy's `begin`: where a pooler may have given us another session."""
    if connection.info.get(_ON_A_POOLER):
        connection.exec_driver_sql(f"SET LOCAL search_path = {SEARCH_PATH}")


def keep_odd_bytes(session: sqlite3.Connection, record: Any) -> None:
    """SQLAlchemy's `connect` for SQLite, whose texts may hold any bytes: read them all."""
    session.text_factory = lambda value: value.decode(errors="surrogateescape")


def _encoding(session: Any) -> str:
    info = getattr(session, "info", None)
    found = info if hasattr(info, "parameter_status") else session
    ask = getattr(found, "parameter_status", None) or session.get_parameter_status
    return str(ask("server_encoding"))


def _say(session: Any, statement: str) -> None:
    cursor = session.cursor()
    cursor.execute(statement)
    cursor.close()
    session.commit()
