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
from collections.abc import Callable
from operator import not_
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.errors import AccessDenied, OperatorError
from mina_ops.operator.database.connection.connect import Database, rows
from mina_ops.operator.database.connection.errors import DatabaseUnreachable, Refused
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.database.connection.trust import refuse_event_triggers
from mina_ops.waiting import wait_until

_T = TypeVar("_T")

# From 16 on, CREATEROLE alone neither makes somebody a member of another's role nor changes it.
_RIGHTS = sealed("""
SELECT r.rolname AS me, r.rolsuper OR r.rolcreaterole AS creates,
  r.rolsuper OR pg_has_role(r.oid, 'pg_signal_backend', 'USAGE') AS signals,
  r.rolsuper OR (current_setting('server_version_num')::int < 160000)
    OR pg_has_role(r.oid, b.oid, 'MEMBER WITH ADMIN OPTION') AS gives
FROM pg_roles AS r, pg_roles AS b WHERE (r.rolname = session_user) AND (b.rolname = :base)
""")
_CONFIGURED = """
FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
WHERE (r.rolname = :login) AND (s.setdatabase = '0'::oid)
"""
_BASE = sealed(
    f"SELECT split_part(c.setting, '=', 2) AS base {_CONFIGURED}AND starts_with(c.setting, 'role=')"
)
_SETTINGS = sealed(f"SELECT c.setting {_CONFIGURED} AND (NOT starts_with(c.setting, 'role='))")
_KNOWN = sealed("SELECT 1 FROM pg_roles AS r WHERE r.rolname = :name")
_SESSIONS = sealed("SELECT count(*) AS n FROM pg_stat_activity AS a WHERE a.usename = :login")
_CUT = sealed(
    "SELECT pg_terminate_backend(a.pid, 2000) FROM pg_stat_activity AS a "
    "WHERE (a.usename = :login) AND (a.pid <> pg_backend_pid())"
)
_ITERATIONS = 4096
_POLL_SECONDS = 0.2
_RESTART_SECONDS = 20.0


def base_role(connection: Connection, login: str, *others: str) -> str:
    """The role that a login acts as: the one that a rotation gave it or one of `others`, or itself.

    Others are logins with the same rights: of two, one may be gone or not made to its end.
    """
    for name in (login, *others):
        if found := rows(connection, _BASE, login=name):
            return str(found[0].base)
    return login


def require_rights(admin: Database, login: str, *others: str) -> None:
    """Ask whether the admin's role may make a second role for a login, and end both.

    Args:
        others: as `base_role` takes them.

    Raises:
        AccessDenied: it may not; the message has the lines that a superuser is to run.
        OperatorError: the server has no such role.
    """
    with admin.connect() as connection:
        base = base_role(connection, login, *others)
        rights = rows(connection, _RIGHTS, base=base)
    if not rights:
        raise OperatorError(f"The database server knows no role {base}; nothing was changed.")
    found = rights[0]
    me = _identifier(found.me)
    lines = [] if found.creates else [f"ALTER ROLE {me} CREATEROLE;"]
    lines += [] if found.signals else [f"GRANT pg_signal_backend TO {me};"]
    lines += [] if found.gives else [f"GRANT {_identifier(base)} TO {me} WITH ADMIN OPTION;"]
    if lines:
        raise AccessDenied(
            f"The role {found.me} of incident.secrets.admin_env lacks rights; nothing was changed. "
            f"Let a superuser run: {' '.join(lines)}"
        )


def create(admin: Database, login: str, name: str, password: str) -> None:
    """Make the role `name` with the rights and settings of `login`. Idempotent.

    Once it is made, `login` may be gone: a rotation that was killed as it ended comes here again.

    Raises:
        AccessDenied, OperatorError: as `require_rights`.
    """
    require_rights(admin, login, name)
    with admin.connect(isolation_level="AUTOCOMMIT") as connection:
        base = base_role(connection, login, name)
        quoted, parent = _identifier(name), _identifier(base)
        if not rows(connection, _KNOWN, name=name):
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
        if not rows(connection, _KNOWN, name=login):
            return 0
        left = _wait_unused(connection, login, wait_seconds)
        if left and not cut:
            raise OperatorError(
                f"The old role {login} still has {left} sessions; something uses it that was not "
                "reloaded. Reload it and resume, or resume with --force to cut them."
            )
        connection.exec_driver_sql(f"ALTER ROLE {_identifier(login)} NOLOGIN PASSWORD NULL")
        _cut(connection, login)
        is_base = base_role(connection, login) == login
    if not is_base:
        drop(admin, login)
    return left


def revive(admin: Database, login: str, like: str, password: str) -> None:
    """Let a role log in again that `retire` ended, and make it anew if it is gone. Idempotent.

    Args:
        like: a role of the same rights and settings.

    Raises:
        AccessDenied: the admin's role lacks a right; see `require_rights`.
    """
    require_rights(admin, like)
    with admin.connect(isolation_level="AUTOCOMMIT") as connection:
        known = rows(connection, _KNOWN, name=login)
        if known:
            connection.exec_driver_sql(
                f"ALTER ROLE {_identifier(login)} LOGIN PASSWORD '{scram(password)}'"
            )
    if not known:
        create(admin, like, login, password)


def drop(admin: Database, name: str) -> str | None:
    """Take a role back that `create` made; its sessions are cut. Idempotent.

    Returns a remark where something was granted to the role itself, so that it stays, without
    login and password.
    """
    with admin.connect(isolation_level="AUTOCOMMIT") as connection:
        if not rows(connection, _KNOWN, name=name):
            return None
        quoted, base = _identifier(name), base_role(connection, name)
        connection.exec_driver_sql(f"ALTER ROLE {quoted} NOLOGIN PASSWORD NULL")
        _cut(connection, name)
        if _done(connection, f"DROP ROLE {quoted}"):
            return None
        # Something was granted to the role itself, or it owns something in this database. What
        # takes that away would run event triggers; with those of a lesser role it stays.
        if base != name and _runs_no_code(connection):
            _done(connection, f"REASSIGN OWNED BY {quoted} TO {_identifier(base)}")
            _done(connection, f"DROP OWNED BY {quoted}")
        if _done(connection, f"DROP ROLE {quoted}"):
            return None
    return f"The role {name} has privileges elsewhere; it stays, and cannot log in."


def _runs_no_code(connection: Connection) -> bool:
    try:
        refuse_event_triggers(connection)
    except Refused:
        return False
    return True


def _done(connection: Connection, statement: str) -> bool:
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError:
        return False
    return True


def can_log_in(database: Database) -> bool:
    """Whether the server lets this login in; waits for one that restarts just now."""

    def log_in() -> bool:
        with database.connect():
            return True

    try:
        return patiently(log_in)
    except DatabaseUnreachable:
        return False


def patiently(act: Callable[[], _T]) -> _T:
    """What `act` returns; while the server is away, as in a restart, it is asked again.

    Raises:
        DatabaseUnreachable: the login is refused, or the server stayed away for 20 s.
    """
    deadline = time.monotonic() + _RESTART_SECONDS
    while True:
        try:
            return act()
        except DatabaseUnreachable as exc:
            if "refused the login" in str(exc) or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def scram(password: str, salt: bytes | None = None) -> str:
    """PostgreSQL's verifier of a password. Source: RFC 5803 and PostgreSQL's pg_authid."""
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored = hashlib.sha256(client).digest()
    shown = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{shown[0]}${shown[1]}:{shown[2]}"


def _settings(connection: Connection, login: str) -> list[str]:
    return [row.setting for row in rows(connection, _SETTINGS, login=login)]


def _wait_unused(connection: Connection, login: str, seconds: float) -> int:
    def left() -> int:
        return int(rows(connection, _SESSIONS, login=login)[0].n)

    return wait_until(left, seconds, pause=_POLL_SECONDS, enough=not_)


def _cut(connection: Connection, login: str) -> None:
    rows(connection, _CUT, login=login)


def _identifier(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
