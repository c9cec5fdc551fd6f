"""What the commands of `mina-ops db` share: their options, and the database that they are about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mina_ops.cli import optional, output
from mina_ops.cli.session import Session

if TYPE_CHECKING:
    from mina_ops.operator.database.connection.connect import Database
    from mina_ops.operator.database.connection.options import DatabaseOptions

_F = TypeVar("_F", bound=Callable[..., Any])


def url_option(function: _F) -> _F:
    """Add `--url-env`; the command gets `url_env`, None where it was not given."""
    return click.option(
        "--url-env",
        metavar="NAME",
        help="Variable with the database's URL; default: [database] url_env, else DATABASE_URL.",
    )(function)


def migrations_option(function: _F) -> _F:
    """Add `--migrations`; the command gets `migrations`, None where it was not given."""
    return click.option(
        "--migrations",
        type=click.Path(path_type=Path),
        help="Alembic's folder; default: [database] migrations.",
    )(function)


def mapped_option(function: _F) -> _F:
    """Add `--mapped`; the command gets `mapped_file`, None where it was not given."""
    return click.option(
        "--mapped",
        "mapped_file",
        type=click.Path(path_type=Path, exists=True),
        help="What the running code maps; see `db mapped`.",
    )(function)


def options(session: Session) -> DatabaseOptions:
    """The table [database] of mina-ops.toml; its defaults without a file."""
    from mina_ops.operator.database.connection.options import DatabaseOptions

    return optional.table(session, "database").fill(DatabaseOptions)


def chosen(given: DatabaseOptions, url_env: str | None) -> Database:
    """The database that a command is about: of `--url-env`, else of the options.

    Raises:
        ConfigurationError: the variable is not set, or holds no URL that can be used.
    """
    from mina_ops.operator.database.connection import connect

    return connect.from_variable(url_env or given.url_env)


def warn_of_superuser(database: Database) -> None:
    """Say on stderr that a role with fewer rights is enough, if this one is a superuser."""
    from mina_ops.operator.database.connection import trust

    if database.kind == "postgresql":
        with database.connect() as connection:
            if trust.is_superuser(connection):
                output.say(
                    "Warning: this URL logs in as a superuser; a role with fewer rights is enough, "
                    "see docs/database.md."
                )
