"""A database connection of health's own: bounded in time, never one of the app's pool."""

from __future__ import annotations

import os
import socket
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

T = TypeVar("T")

_CONNECT_SECONDS = 2  # libpq's least


class OwnConnection:
    """One connection to the app's database, kept open between uses; one user at a time.

    Connecting, statements and silence of the network are bounded where the driver can bound
    them; `abort` breaks what is left.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        statement_seconds: float,
        connect_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Args: `connect_args` are the host's own, such as its certificates."""
        self._url = make_url(url)
        self._limits = {**(connect_args or {}), **_limits(self._url, statement_seconds)}
        self._engine: Engine | None = None
        self._kept: list[Connection] = []
        self._descriptor: int | None = None
        # Drivers complain of a connection that is forgotten open.
        weakref.finalize(self, _close_all, self._kept)

    def use(self, work: Callable[[Connection], T]) -> T:
        """The result of `work(connection)`.

        A connection that went stale while it was idle is replaced once.
        """
        kept = bool(self._kept)
        try:
            with self._open() as connection:
                return work(connection)
        except DBAPIError:
            if not kept:
                raise
        with self._open() as connection:
            return work(connection)

    def abort(self) -> None:
        """Break the present statement, from any thread, by shutting its socket down."""
        descriptor = self._descriptor
        if descriptor is None:
            return
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as link:
            link.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        try:
            yield self._connected()
        except Exception:
            self._drop()
            raise

    def _connected(self) -> Connection:
        if not self._kept:
            self._kept.append(self._connect())
            self._descriptor = _descriptor(self._kept[0])
        return self._kept[0]

    def _connect(self) -> Connection:
        if self._engine is None:
            self._engine = create_engine(
                self._url,
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",
                connect_args=self._limits,
            )
        try:
            return self._engine.connect()
        except DBAPIError as error:
            if "startup parameter" not in str(error) or "options" not in self._limits:
                raise
        # A pooler such as PgBouncer or Neon's takes no `options`: do without that limit.
        del self._limits["options"]
        self._engine = None
        return self._connect()

    def _drop(self) -> None:
        self._descriptor = None
        _close_all(self._kept)


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connection = connections.pop()
        with suppress(Exception):
            connection.invalidate()
        with suppress(Exception):
            connection.close()


def _limits(url: URL, statement_seconds: float) -> dict[str, Any]:
    """Connect and statement limits in the words of the URL's driver; {} for unknown drivers."""
    kind, driver = url.get_backend_name(), url.get_driver_name()
    milliseconds = max(1, round(statement_seconds * 1000))
    if kind == "sqlite":
        return {"timeout": statement_seconds, "check_same_thread": False}
    if kind == "postgresql" and driver in ("psycopg", "psycopg2"):
        given = url.query.get("options", "")
        options = given if isinstance(given, str) else " ".join(given)
        return {
            "connect_timeout": _CONNECT_SECONDS,
            "options": f"{options} -c statement_timeout={milliseconds}".strip(),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
            "tcp_user_timeout": 5000,
            "application_name": "mina_ops health",
        }
    if kind in ("mysql", "mariadb"):
        seconds = max(1, round(statement_seconds))
        return {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}
    return {}


def _descriptor(connection: Connection) -> int | None:
    with suppress(Exception):
        raw = connection.connection.driver_connection
        return int(raw.fileno())  # type: ignore[union-attr]
    return None
