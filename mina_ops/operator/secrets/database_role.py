"""A second login role for the same rights, so that the old one can end after all have moved.

PostgreSQL keeps one password for each role, so changing it would refuse whoever connects next
with the old one. The new role is a member of the base role and acts as it from its login on:
what it creates belongs to the base, as before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time

from sqlalchemy import Connection

from mina_ops.errors import AccessDenied, OperatorError
from mina_ops.operator.database.connection.connect import Database, rows

_ITERATIONS = 4096
_POLL_SECONDS = 0.2


def base_role(connection: Connection, login: str) -> str:
    """The role that a login acts as: the one that an earlier rotation gave it, or itself."""
    found = rows(
        connection,
        "SELECT split_part(c, '=', 2) AS base FROM pg_db_role_setting s "
        "JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS c "
        "WHERE r.rolname = :login AND s.setdatabase = 0 AND c LIKE 'role=%'",
        login=login,
    )
    return str(found[0].base) if found else login


def create(admin: Database, login: str, name: str, password: str) -> None:
    """Make the role `name` with the rights and settings of `login`. Idempotent.

    Raises:
        AccessDenied: the admin's role may not create roles.
    """
    with admin.connect(isolation_level="AUTOCOMMIT") as connection:
        _may_create(connection)
        base = base_role(connection, login)
        quoted, parent = _identifier(name), _identifier(base)
        if not rows(connection, "SELECT 1 FROM pg_roles WHERE rolname = :name", name=name):
            connection.exec_driver_sql(f"CREATE ROLE {quoted} NOLOGIN IN ROLE {parent}")
        # A verifier, not the password: statements are logged.
        verifier = scram(password)
        connection.exec_driver_sql(f"ALTER ROLE {quoted} LOGIN PASSWORD '{verifier}'")
        for setting in _settings(connection, login):
            key, _, value = setting.partition("=")
            escaped = value.replace("'", "''")
            connection.exec_driver_sql(f"ALTER ROLE {quoted} SET {key} = '{escaped}'")
        connection.exec_driver_sql(f"ALTER ROLE {quoted} SET role = {parent}")


def retire(admin: Database, login: str, *, wait_seconds: float, cut: bool) -> int:
    """End a login for good, once nobody uses it; the number of sessions that were cut. Idempotent.

    A role that owns things stays, without login and password.

    Args:
        cut: end the sessions that are still open after `wait_seconds`.

    Raises:
        OperatorError: it is still in use, and `cut` is not given; it can still log in.
    """
    with admin.connect(isolation_level="AUTOCOMMIT") as connection:
        if not rows(connection, "SELECT 1 FROM pg_roles WHERE rolname = :name", name=login):
            return 0
        left = _wait_unused(connection, login, wait_seconds)
        if left and not cut:
            raise OperatorError(
                f"The old role {login} still has {left} sessions; something uses it that was not "
                "reloaded. Reload it and resume, or resume with --force to cut them."
            )
        connection.exec_driver_sql(f"ALTER ROLE {_identifier(login)} NOLOGIN PASSWORD NULL")
        _cut(connection, login)
        if base_role(connection, login) != login:
            connection.exec_driver_sql(f"DROP ROLE {_identifier(login)}")
        return left


def drop(admin: Database, name: str) -> None:
    """Take a role back that `create` made; its sessions are cut. Idempotent."""
    with admin.connect(isolation_level="AUTOCOMMIT") as connection:
        if not rows(connection, "SELECT 1 FROM pg_roles WHERE rolname = :name", name=name):
            return
        connection.exec_driver_sql(f"ALTER ROLE {_identifier(name)} NOLOGIN")
        _cut(connection, name)
        connection.exec_driver_sql(f"DROP ROLE {_identifier(name)}")


def scram(password: str, salt: bytes | None = None) -> str:
    """PostgreSQL's verifier of a password. Source: RFC 5803 and PostgreSQL's pg_authid."""
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored = hashlib.sha256(client).digest()
    shown = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{shown[0]}${shown[1]}:{shown[2]}"


def _may_create(connection: Connection) -> None:
    found = rows(
        connection,
        "SELECT rolcreaterole OR rolsuper AS yes FROM pg_roles WHERE rolname = session_user",
    )
    if not found or not found[0].yes:
        raise AccessDenied(
            "The role of incident.secrets.admin_env may not create roles; it needs CREATEROLE."
        )


def _settings(connection: Connection, login: str) -> list[str]:
    found = rows(
        connection,
        "SELECT c FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole, "
        "unnest(s.setconfig) AS c WHERE r.rolname = :login AND s.setdatabase = 0 "
        "AND c NOT LIKE 'role=%'",
        login=login,
    )
    return [row.c for row in found]


def _wait_unused(connection: Connection, login: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        left = rows(
            connection, "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = :l", l=login
        )[0].n
        if not left or time.monotonic() > deadline:
            return int(left)
        time.sleep(_POLL_SECONDS)


def _cut(connection: Connection, login: str) -> None:
    rows(
        connection,
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = :l "
        "AND pid <> pg_backend_pid()",
        l=login,
    )


def _identifier(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
