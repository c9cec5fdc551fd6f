"""A role without rights that lives for one command, under which code of others may run.

`SET ROLE` would not do: the code could `RESET ROLE`. So the guest logs in.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.errors import AccessDenied
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import literal, quoted, rows, run
from mina_ops.operator.database.connection.sealed import sealed

PREFIX = "mina_guest_"
# One that a killed run left behind; no proof of ours takes as long.
STALE_SECONDS = 12 * 3600
_RIGHTS = sealed("""
SELECT r.rolsuper OR r.rolcreaterole AS roles, r.rolsuper OR r.rolcreatedb AS databases, r.rolsuper
FROM pg_roles AS r WHERE r.rolname = current_user
""")
_STALE = sealed("SELECT r.rolname FROM pg_roles AS r WHERE starts_with(r.rolname::text, :prefix)")


@dataclass(frozen=True)
class Guest:
    """The login of a guest."""

    name: str
    password: str

    def of(self, database: Database) -> Database:
        """A database as the guest reaches it."""
        return database.login(self.name, self.password)


@dataclass(frozen=True)
class Rights:
    """What a role may make on its server."""

    roles: bool
    databases: bool
    superuser: bool


def rights(connection: Connection) -> Rights:
    """The rights of this connection's role."""
    found = rows(connection, _RIGHTS)
    return Rights(*found[0]) if found else Rights(False, False, False)


@contextmanager
def guest(database: Database) -> Iterator[Guest]:
    """A new role without rights on the database's server; dropped at the end.

    What it owned must have been dropped by then.

    Raises:
        AccessDenied: the operator's role may not create roles.
    """
    made = Guest(f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}", secrets.token_urlsafe(24))
    with database.connect(isolation_level="AUTOCOMMIT") as connection:
        may = rights(connection)
        if not may.roles:
            raise AccessDenied(
                f"The role of {database.name} may not create a role, under which code of others "
                "could run without harm. Grant it CREATEROLE."
            )
        _drop_stale(connection)
    # From before it is made: an interruption may come when the server has it and we do not know.
    try:
        with database.connect(isolation_level="AUTOCOMMIT") as connection:
            run(
                connection,
                f"CREATE ROLE {quoted(made.name)} LOGIN PASSWORD {literal(made.password)}",
            )
            if not may.superuser:
                # To give it a database, and to see what is in there.
                run(connection, f"GRANT {quoted(made.name)} TO CURRENT_USER")
        yield made
    finally:
        with database.connect(isolation_level="AUTOCOMMIT") as connection:
            _drop(connection, made.name)


def _drop_stale(connection: Connection) -> None:
    for row in rows(connection, _STALE, prefix=PREFIX):
        stamp = row.rolname.removeprefix(PREFIX).partition("_")[0]
        if stamp.isdigit() and time.time() - int(stamp) > STALE_SECONDS:
            _drop(connection, row.rolname)


def _drop(connection: Connection, name: str) -> None:
    # One that still owns a database that could not be dropped goes with a later command.
    with suppress(DBAPIError):
        run(connection, f"DROP ROLE IF EXISTS {quoted(name)}")
