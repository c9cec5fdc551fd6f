"""Makes a database driver's blocking calls so that they never stop a gevent or eventlet loop."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Dialect

from mina_ops.app.native import Native, green_library

CONNECT_SECONDS = 2
"""libpq's least. Hosts that give a limit of their own keep it."""

# All of C: they neither log nor call anybody. Others are called where the host would call them.
_OF_C = frozenset({"psycopg2", "pysqlite", "mysqldb", "pyodbc"})
_LOOK_SECONDS = 0.1
_LIBPQ = frozenset({"psycopg", "psycopg2"})


class Driver:
    """How the calls of one dialect's driver are made in this process."""

    def __init__(self, dialect: Dialect, native: Native) -> None:
        self._dialect = dialect
        self._native = native

    def connect(self, cargs: Sequence[Any], cparams: Mapping[str, Any]) -> Any:
        """A DBAPI connection with these arguments, and limits where they name none."""
        dialect, library = self._dialect, green_library()
        given = _limits(dialect.driver) | dict(cparams)
        if library is None:
            return dialect.connect(*cargs, **given)
        if dialect.driver in _LIBPQ:
            given |= self._addresses(given)
        if dialect.driver == "psycopg" and library == "eventlet":
            return _yielding(dialect).connect(*cargs, **given)
        if self._is_of_c():
            # What `dialect.connect` does, less the dialect.
            return self._native.call(dialect.loaded_dbapi.connect, *cargs, **given)
        return dialect.connect(*cargs, **given)

    def execute(self, execute: Callable[..., Any], *arguments: Any) -> None:
        """Call a cursor's `execute` or `executemany`."""
        if green_library() is not None and self._is_of_c():
            self._native.call(execute, *arguments)
        else:
            execute(*arguments)

    def _is_of_c(self) -> bool:
        if self._dialect.driver == "psycopg2":
            # With a wait callback, such as eventlet's or psycogreen's, it yields by itself.
            return self._dialect.loaded_dbapi.extensions.get_wait_callback() is None
        return self._dialect.driver in _OF_C

    def _addresses(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """libpq's `hostaddr`, since its own look-up of a name would stop the loop.

        A name with two addresses becomes two hosts, which is what libpq makes of it, too.
        """
        host = given.get("host")
        if not isinstance(host, str) or "hostaddr" in given or not _is_a_name(host):
            return {}
        found = self._native.addresses(host)
        return {"host": ",".join([host] * len(found)), "hostaddr": ",".join(found)}


def _is_a_name(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or "," in host:
        return False  # a socket's folder, or several hosts
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _limits(driver: str) -> dict[str, Any]:
    """Arguments that bound a connect and a silent network, in the words of a driver."""
    if driver in _LIBPQ:
        return {
            "connect_timeout": CONNECT_SECONDS,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
            "tcp_user_timeout": 5000,
            "fallback_application_name": "mina_ops",
        }
    if driver in ("pymysql", "mysqldb"):
        # A server that hangs takes the connection and then says nothing: the limit of the connect
        # is over by then. These bound statements, too, for which the server has no common limit.
        return dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), CONNECT_SECONDS)
    if driver == "pysqlite":
        return {"check_same_thread": False, "timeout": float(CONNECT_SECONDS)}
    return {}


def _yielding(dialect: Dialect) -> Any:
    """psycopg's connection whose queries wait in `select`, which eventlet made green.

    Its own way waits in C; gevent is known to psycopg itself, eventlet is not.
    """
    from psycopg import Connection, waiting

    class YieldingConnection(Connection[Any]):
        """Waits as its base does, in Python."""

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            if not args:
                kwargs.setdefault("interval", _LOOK_SECONDS)
            return waiting.wait_select(gen, self.pgconn.socket, *args, **kwargs)

    return YieldingConnection
