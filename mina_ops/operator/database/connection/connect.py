"""A database by its URL: connections to it, and the environment of libpq's programs.

A URL comes from an environment variable, never from an argument, where `ps` would show its
password to everyone on the machine. On every connection names are looked for in `pg_catalog`
alone, so that nobody's function of the same name is called instead (see `sealed`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mina_ops.operator.database.connection import failures, sessions, urls
from mina_ops.operator.database.connection.errors import DatabaseUnreachable
from mina_ops.operator.database.connection.queries import rows

__all__ = ["Database", "from_variable", "parse", "rows"]


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
        host = self.url.host or self._options.get("host") or "the local socket"
        return f"{self.database} on {host}"

    @property
    def database(self) -> str:
        """The database's bare name, or the file's."""
        if self.kind == "sqlite":
            return self.file.name
        return self.url.database or self._options.get("dbname", "")

    @property
    def file(self) -> Path:
        """The file of an SQLite database."""
        return Path(self.url.database or "").absolute()

    @property
    def address(self) -> str:
        """Where its URL leads, as text, for when nobody can be asked; see `identity`."""
        if self.kind == "sqlite":
            return f"sqlite||0|{self.file.resolve()}"
        host = self._options.get("host", "localhost").lower()
        loopback = host in ("127.0.0.1", "::1") or host.startswith("/")
        place = "localhost" if loopback else host
        return f"{self.kind}|{place}|{self._options.get('port', 5432)}|{self.database}"

    def named(self, database: str) -> Database:
        """Another database on the same server."""
        query = {k: v for k, v in self.url.query.items() if k != "dbname"}
        return replace(self, url=self.url.set(database=database, query=query))

    def login(self, user: str, password: str) -> Database:
        """The same database for another role."""
        query = {k: v for k, v in self.url.query.items() if k not in ("user", "password")}
        return replace(self, url=self.url.set(username=user, password=password, query=query))

    def engine(self, **options: Any) -> Engine:
        """An engine without a pool, named `mina-ops` to the server, with names in pg_catalog."""
        if self.kind == "sqlite":
            url = URL.create("sqlite", database=self.url.database)
            engine = create_engine(url, poolclass=NullPool, **options)
            event.listen(engine, "connect", sessions.keep_odd_bytes)
            return engine
        engine = create_engine(self.url, poolclass=NullPool, use_native_hstore=False, **options)
        event.listen(engine, "do_connect", sessions.open_session)
        event.listen(engine, "begin", sessions.begin_on_a_pooler)
        return engine

    @contextmanager
    def connect(self, **options: Any) -> Iterator[Connection]:
        """A connection; `options` are SQLAlchemy's execution options, such as isolation_level.

        Raises:
            DatabaseUnreachable: there is no such server, file or login.
            AccessDenied: a statement inside needs a permission that this role has not.
            OperatorError: a statement inside failed; the message has the server's words.
        """
        if self.kind == "sqlite" and self.url.database and not self.file.is_file():
            raise DatabaseUnreachable(f"There is no SQLite database {self.file}; check the URL.")
        engine = self.engine()
        try:
            connection = engine.connect()
        except SQLAlchemyError as exc:
            raise failures.unreachable(self.name, exc) from exc
        with connection:
            try:
                yield connection.execution_options(**options)
            except DBAPIError as exc:
                raise failures.failed(self.name, exc) from exc

    def libpq(self) -> dict[str, str]:
        """The environment that leads psql, pg_dump and pg_restore to it, password included."""
        return urls.environment(sessions.pinned(self._options))

    @property
    def _options(self) -> Mapping[str, str]:
        return urls.libpq_options(self.url)


def parse(url: str, what: str = "The URL") -> Database:
    """The database that a URL names, in any form that SQLAlchemy takes.

    Raises:
        ConfigurationError: it is no URL of PostgreSQL or SQLite.
        ToolMissing: no driver for PostgreSQL is installed.
    """
    return Database(urls.read(url, what))


def from_variable(variable: str, environ: Mapping[str, str] | None = None) -> Database:
    """The database whose URL an environment variable holds.

    Raises:
        ConfigurationError: the variable is not set, or holds no such URL.
    """
    return Database(urls.from_environment(variable, environ))
