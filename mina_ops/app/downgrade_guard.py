"""Refuse a downgrade of a production database, whatever way Alembic was called.

One line in env.py, before `context.configure`:

    from mina_ops.app.downgrade_guard import refuse_downgrade; refuse_downgrade(context)

`flask db`, the `alembic` command and Alembic's API all run env.py, and all hand it the function
that plans the steps; the plan is looked at before its first step runs. What counts as production:

    1. the database of PRODUCTION_DATABASE_URL, always;
    2. never the database of STAGING_DATABASE_URL, otherwise;
    3. ENVIRONMENT that is `production`, `prod`, `live`, `blue`, `green` or one of
       MINA_OPS_COLOURS: the colours are production's;
    4. ENVIRONMENT that says something else, as `staging` or `development`, is not production;
    5. without ENVIRONMENT: a database on another machine is, SQLite and loopback are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mina_ops.errors import OperatorError

PRODUCTION = frozenset({"production", "prod", "live", "blue", "green"})
_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


class DowngradeRefused(OperatorError):
    """A downgrade was asked for on production; nothing was changed."""

    code = "downgrade_refused"
    exit_code = 2


def refuse_downgrade(context: Any, environ: Mapping[str, str] | None = None) -> None:
    """Make every downgrade of this run of env.py fail on production, before its first step.

    Args:
        context: Alembic's `context`, as env.py imports it. Call it before `configure`.
        environ: default: the process's environment.
    """
    environ = os.environ if environ is None else environ
    options: dict[str, Any] = context._proxy.context_opts
    plan = options.get("fn")
    if plan is None:
        return

    def guarded(revision: Any, migration_context: Any) -> Iterable[Any]:
        steps = list(plan(revision, migration_context))
        if any(_goes_down(step) for step in steps):
            url = _url(migration_context)
            if why := production_reason(url, environ):
                raise DowngradeRefused(
                    f"Refused to downgrade {_shown(url)}: {why}. Production is never downgraded: "
                    "send traffic back to the other colour, then roll forward with "
                    "`flask db revision` and `flask db upgrade`, or restore a backup elsewhere."
                )
        return steps

    options["fn"] = guarded


def production_reason(url: URL | None, environ: Mapping[str, str]) -> str | None:
    """Why a database counts as production; None if it does not."""
    if _same(url, environ.get("PRODUCTION_DATABASE_URL")):
        return "it is the database of PRODUCTION_DATABASE_URL"
    if _same(url, environ.get("STAGING_DATABASE_URL")):
        return None
    environment = environ.get("ENVIRONMENT", "").strip().lower()
    colours = {name.strip().lower() for name in environ.get("MINA_OPS_COLOURS", "").split(",")}
    if environment:
        is_production = environment in PRODUCTION | (colours - {""})
        return f"ENVIRONMENT is {environment}" if is_production else None
    if url is not None and (url.get_backend_name() == "sqlite" or (url.host or "") in _LOOPBACK):
        return None
    return "ENVIRONMENT is not set, and the database is not on this machine"


def _goes_down(step: Any) -> bool:
    # A stamp moves the mark alone; the schema stays, and repairs need it.
    return bool(step.is_downgrade) and not type(step).__name__.startswith("Stamp")


def _url(migration_context: Any) -> URL | None:
    connection = migration_context.connection
    if connection is not None and not migration_context.as_sql:
        found: URL = connection.engine.url
        return found
    return _parsed(os.environ.get("DATABASE_URL"))


def _parsed(text: str | None) -> URL | None:
    try:
        return make_url(text.strip().replace("postgres://", "postgresql://", 1)) if text else None
    except ArgumentError:
        return None


def _same(url: URL | None, text: str | None) -> bool:
    other = _parsed(text)
    return url is not None and other is not None and _place(url) == _place(other)


def _place(url: URL) -> tuple[str, str, int, str]:
    if url.get_backend_name() == "sqlite":
        return ("sqlite", "", 0, os.path.realpath(url.database or ""))
    host = (url.host or "").lower()
    return (
        url.get_backend_name(),
        "localhost" if host in _LOOPBACK else host,
        url.port or 5432,
        url.database or "",
    )


def _shown(url: URL | None) -> str:
    return "the database" if url is None else f"{url.database} on {url.host or 'this machine'}"
