"""A database by its URL: engines, the environment of libpq's programs, and which one it is.

A URL comes from an environment variable, never from an argument, where `ps` would show its
password to everyone on the machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mina_ops.errors import AccessDenied, ConfigurationError, OperatorError, ToolMissing
from mina_ops.operator.database.connection.errors import DatabaseUnreachable
from mina_ops.operator.system import programs

CONNECT_SECONDS = 10
_DRIVERS = ("psycopg", "psycopg2", "pg8000")
# libpq's own names for what a URL's query may say. Source: PostgreSQL 15 manual, 34.15.
_LIBPQ = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "host": "PGHOST",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
}
_REASONS = (
    (
        r"password|authentication|no pg_hba|role .* does not exist|not permitted to log in|scram",
        "it refused the login",
    ),
    (r"database .* does not exist", "there is no database of that name"),
    (r"could not translate|name or service|resolve|nodename", "its host's name is not known"),
    (r"timeout|timed out", f"no answer within {CONNECT_SECONDS} s"),
    (r"refused", "nothing listens at that address"),
    (r"unable to open database file", "the file or its folder does not exist or is not readable"),
    (r"too many|remaining connection slots", "it has no connection to spare"),
)


@dataclass(frozen=True)
class Database:
    """One database; its text form never shows the password."""

    url: URL = field(repr=False)

    @property
    def kind(self) -> str:
        """`postgresql` or `sqlite`."""
        return self.url.get_backend_name()

    @property
    def name(self) -> str:
        """What messages call it: the database's name and host, or the file."""
        if self.kind == "sqlite":
            return self.url.database or ":memory:"
        return f"{self.url.database} on {self.url.host or 'the local socket'}"

    @property
    def file(self) -> Path:
        """The file of an SQLite database."""
        return Path(self.url.database or "").absolute()

    def same_as(self, other: Database) -> bool:
        """Whether both URLs lead to the same database; users and drivers do not count."""
        return self.identity == other.identity

    @property
    def identity(self) -> tuple[str, str, int, str]:
        """What tells it from others: kind, host, port and name (or path)."""
        if self.kind == "sqlite":
            return ("sqlite", "", 0, str(self.file.resolve()))
        host = (self.url.host or "localhost").lower()
        host = "localhost" if host in ("127.0.0.1", "::1") or host.startswith("/") else host
        return (self.kind, host, self.url.port or 5432, self.url.database or "")

    @property
    def source(self) -> str:
        """Its identity as a backup's manifest writes it down."""
        return "|".join(map(str, self.identity))

    def named(self, database: str) -> Database:
        """Another database on the same server."""
        return replace(self, url=self.url.set(database=database))

    def engine(self, **options: Any) -> Engine:
        """An engine without a pool, named `mina-ops` to the server."""
        arguments: dict[str, Any] = {}
        if self.kind == "postgresql":
            arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": "mina-ops"}
        return create_engine(self.url, poolclass=NullPool, connect_args=arguments, **options)

    @contextmanager
    def connect(self, **options: Any) -> Iterator[Connection]:
        """A connection; `options` are SQLAlchemy's execution options, such as isolation_level.

        Raises:
            DatabaseUnreachable: there is no such server, file or login.
            AccessDenied: a statement inside needs a permission that this role has not.
            OperatorError: a statement inside failed.
        """
        if self.kind == "sqlite" and self.url.database and not self.file.is_file():
            raise DatabaseUnreachable(f"There is no SQLite database {self.file}; check the URL.")
        engine = self.engine()
        try:
            connection = engine.connect()
        except SQLAlchemyError as exc:
            raise DatabaseUnreachable(
                f"The database {self.name} cannot be reached: {_reason(exc)}. Check the URL."
            ) from exc
        with connection:
            try:
                yield connection.execution_options(**options)
            except DBAPIError as exc:
                raise _failed(self, exc) from exc

    def libpq(self) -> dict[str, str]:
        """The environment that leads psql, pg_dump and pg_restore to it, password included."""
        url = self.url
        found = {
            "PGHOST": url.host,
            "PGPORT": str(url.port) if url.port else None,
            "PGUSER": url.username,
            "PGPASSWORD": url.password,
            "PGDATABASE": url.database,
        }
        for key, variable in _LIBPQ.items():
            value = url.query.get(key)
            found[variable] = found.get(variable) or (value if isinstance(value, str) else None)
        more = {"PGCONNECT_TIMEOUT": str(CONNECT_SECONDS), "PGAPPNAME": "mina-ops"}
        return {key: value for key, value in found.items() if value} | more


def parse(url: str, what: str = "The URL") -> Database:
    """The database that a URL names; `postgres://` and plain `postgresql://` get a driver.

    Raises:
        ConfigurationError: it is no URL of PostgreSQL or SQLite.
        ToolMissing: no driver for PostgreSQL is installed.
    """
    try:
        parsed = make_url(re.sub(r"^postgres(?=[:+])", "postgresql", url.strip()))
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError, NoSuchModuleError) as exc:
        raise ConfigurationError(f"{what} is not a database URL.") from exc
    if backend not in ("postgresql", "sqlite"):
        raise ConfigurationError(f"{what} names {backend}; PostgreSQL and SQLite are supported.")
    if backend == "postgresql" and not parsed.database:
        raise ConfigurationError(f"{what} names no database.")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername=f"postgresql+{_driver()}")
    return Database(parsed)


def from_variable(variable: str, environ: Mapping[str, str] | None = None) -> Database:
    """The database whose URL an environment variable holds.

    Raises:
        ConfigurationError: the variable is not set, or holds no such URL.
    """
    environ = os.environ if environ is None else environ
    value = environ.get(variable, "").strip()
    if not value:
        raise ConfigurationError(f"{variable} is not set; give it the database's URL.")
    return parse(value, variable)


def rows(connection: Connection, sql: str, **values: Any) -> list[Any]:
    """The rows of a query; `:name` stands for a value."""
    return list(connection.execute(text(sql), values))


def verbatim(sql: str) -> str:
    """SQL that the server wrote, safe inside `rows`: its colons are no placeholders."""
    return re.sub(r"(?<![:\\]):(?=\w)", r"\\:", sql)


def server_program(name: str) -> str:
    """The full path of a program that Debian leaves out of PATH, such as pg_amcheck.

    Raises:
        ToolMissing: no installed version of PostgreSQL has it.
    """
    try:
        return programs.find(name)
    except ToolMissing:
        beside = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
        newest = max(beside, key=lambda path: float(path.parts[-3]), default=None)
        if newest is None:
            raise
        return str(newest)


def _driver() -> str:
    for name in _DRIVERS:
        if find_spec(name):
            return name
    raise ToolMissing("No driver for PostgreSQL is installed. pip install 'psycopg[binary]'.")


def _reason(error: Exception) -> str:
    said = str(error).lower()
    for pattern, reason in _REASONS:
        if re.search(pattern, said):
            return reason
    return "the connection failed"


def _failed(database: Database, error: DBAPIError) -> OperatorError:
    kind = type(error.orig).__name__
    if kind == "InsufficientPrivilege" or getattr(error.orig, "pgcode", "") == "42501":
        return AccessDenied(f"The role of this URL lacks a permission on {database.name}.")
    if error.connection_invalidated or kind in ("AdminShutdown", "ConnectionTimeout"):
        return DatabaseUnreachable(f"The connection to {database.name} broke. Try again.")
    return OperatorError(f"A statement failed on {database.name} ({kind}).")
