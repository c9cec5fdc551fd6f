"""Refuse a downgrade of a production database, whatever way Alembic was called.

One line in env.py, before `context.configure`:

    from mina_ops.app.downgrade_guard import refuse_downgrade; refuse_downgrade(context)

`flask db`, the `alembic` command and Alembic's API all run env.py, and all hand it the function
that plans the steps; the plan is looked at before its first step runs. What counts as production:

    1. the database of PRODUCTION_DATABASE_URL, always, whatever name it is reached by: both
       servers are asked;
    2. one that bears the mark, `ALTER DATABASE mina SET mina_ops.environment = 'production'`,
       which needs no variable;
    3. never the database of STAGING_DATABASE_URL, otherwise;
    4. ENVIRONMENT that is `production`, `prod`, `live`, `blue`, `green` or one of
       MINA_OPS_COLOURS: the colours are production's;
    5. ENVIRONMENT that says something else, as `staging` or `development`, is not production;
    6. without ENVIRONMENT: a database on another machine is, or one whose server says that it
       answers at another machine's address; SQLite and loopback are not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from mina_ops import same_database
from mina_ops.errors import OperatorError

PRODUCTION = frozenset({"production", "prod", "live", "blue", "green"})
_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})
_LOOPBACK_ADDRESSES = ("127.", "::1")
_CONNECT_SECONDS = 10
# What drivers call the limit for connecting, where it is not libpq's word.
_LIMITS = {"asyncpg": "timeout", "pg8000": "timeout"}
_SET = "set ENVIRONMENT (development, staging or production) or STAGING_DATABASE_URL"
_MARK = "SELECT pg_catalog.current_setting('mina_ops.environment', true)"
_ADDRESS = "SELECT pg_catalog.host(pg_catalog.inet_server_addr())"


class DowngradeRefused(OperatorError, CommandError):
    """A downgrade was asked for on production; nothing was changed.

    As an error of Alembic's it ends `flask db` and `alembic` with one sentence.
    """

    code = "downgrade_refused"
    exit_code = 2


def refuse_downgrade(context: Any, environ: Mapping[str, str] | None = None) -> None:
    """Make every downgrade of this run of env.py fail on production, before its first step.

    Args:
        context: Alembic's `context`, as env.py imports it. Call it before `configure`.
        environ: default: the process's environment.

    Raises:
        DowngradeRefused: it was called after `configure`, where it would guard nothing.
    """
    environ = os.environ if environ is None else environ
    options: dict[str, Any] = context._proxy.context_opts
    plan = options.get("fn")
    if plan is None or isinstance(plan, _Guarded):
        return
    if context._proxy._migration_context is not None:
        raise DowngradeRefused(
            "refuse_downgrade(context) stands behind context.configure in env.py, where it guards "
            "nothing; put it before."
        )
    options["fn"] = _Guarded(plan, environ)


class _Guarded:
    """Alembic's function that plans the steps; it hands out none that go down on production."""

    def __init__(self, plan: Callable[..., Any], environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._environ = environ

    def __call__(self, revision: Any, migration_context: Any) -> Iterable[Any]:
        steps = list(self._plan(revision, migration_context))
        if any(_goes_down(step) for step in steps):
            url, connection = _place(migration_context)
            if why := production_reason(url, self._environ, connection):
                raise DowngradeRefused(
                    f"Refused to downgrade {_shown(url)}: {why}. Production is never downgraded: "
                    "send traffic back to the other colour, then roll forward with "
                    "`flask db revision` and `flask db upgrade`, or restore a backup elsewhere."
                )
        return steps


def production_reason(
    url: URL | None, environ: Mapping[str, str], connection: Connection | None = None
) -> str | None:
    """Why a database counts as production; None if it does not.

    Args:
        connection: to the database, so that servers can be asked; None: addresses decide alone.
    """
    production = _same(url, environ.get("PRODUCTION_DATABASE_URL"), connection)
    if production:
        return "it is the database of PRODUCTION_DATABASE_URL"
    mark = _mark(connection)
    if mark:
        return mark
    if _same(url, environ.get("STAGING_DATABASE_URL"), connection):
        return None
    environment = environ.get("ENVIRONMENT", "").strip().lower()
    colours = {name.strip().lower() for name in environ.get("MINA_OPS_COLOURS", "").split(",")}
    if environment:
        is_production = environment in PRODUCTION | (colours - {""})
        return f"ENVIRONMENT is {environment}" if is_production else None
    if production is None:
        return "PRODUCTION_DATABASE_URL cannot be asked whether it is this one; " + _SET
    return _elsewhere(url, connection)


def _elsewhere(url: URL | None, connection: Connection | None) -> str | None:
    if url is not None and url.get_backend_name() == "sqlite":
        return None
    if url is None or _host(url) not in _LOOPBACK:
        return f"ENVIRONMENT is not set, and the database is not on this machine; {_SET}"
    address = _asked(connection, _ADDRESS)
    if address and not address.startswith(_LOOPBACK_ADDRESSES):
        return f"its server answers at {address}, which is not this machine; {_SET}"
    return None


def _mark(connection: Connection | None) -> str | None:
    mark = (_asked(connection, _MARK) or "").strip().lower()
    return f"the database itself says that it is {mark}" if mark in PRODUCTION else None


def _asked(connection: Connection | None, question: str) -> str | None:
    if connection is None or connection.dialect.name != "postgresql":
        return None
    found = connection.exec_driver_sql(question).scalar()
    return str(found) if found is not None else None


def _goes_down(step: Any) -> bool:
    # A stamp moves the mark alone; the schema stays, and repairs need it.
    return bool(step.is_downgrade) and not type(step).__name__.startswith("Stamp")


def _place(migration_context: Any) -> tuple[URL | None, Connection | None]:
    """Which database Alembic works on; without a connection (`--sql`), which one it is for."""
    connection: Connection | None = migration_context.connection
    if connection is not None and not migration_context.as_sql:
        return connection.engine.url, connection
    return _parsed(os.environ.get("DATABASE_URL")), None


def _parsed(text: str | None) -> URL | None:
    try:
        return make_url(text.strip().replace("postgres://", "postgresql://", 1)) if text else None
    except ArgumentError:
        return None


def _same(url: URL | None, text: str | None, connection: Connection | None) -> bool | None:
    """Whether it is the database of another URL; None if that one cannot be asked."""
    other = _parsed(text)
    if url is None or other is None or url.get_backend_name() != other.get_backend_name():
        return False
    if url.get_backend_name() == "sqlite":
        return same_database.same_file(url.database or "", other.database or "")
    if _address(url) == _address(other):
        return True
    if connection is None or url.get_backend_name() != "postgresql":
        return False
    try:
        # The host's own driver, which is there; its URL need not name one.
        engine = create_engine(
            other.set(drivername=url.drivername),
            poolclass=NullPool,
            connect_args={_LIMITS.get(url.get_driver_name(), "connect_timeout"): _CONNECT_SECONDS},
        )
        with engine.connect() as there:
            return same_database.same(there, connection)
    except Exception:
        # Drivers raise what they like, such as TypeError for an option of another driver's URL.
        return None


def _address(url: URL) -> tuple[str, int, str]:
    host = _host(url)
    port = url.port or int(str(url.query.get("port") or 5432).partition(",")[0])
    return "localhost" if host in _LOOPBACK else host, port, url.database or ""


def _host(url: URL) -> str:
    host = str(url.host or url.query.get("host") or "").lower()
    return "" if host.startswith("/") else host


def _shown(url: URL | None) -> str:
    return "the database" if url is None else f"{url.database} on {_host(url) or 'this machine'}"
