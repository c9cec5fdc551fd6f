"""One database connection for all that we ask: bounded in time, never one of the app's pool."""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    from mina_ops.app.database.source import Source

T = TypeVar("T")

IDLE_SECONDS = 60.0
"""A connection that nobody used for this long is closed, unless its owner says how long."""


class OwnConnection:
    """One connection to the app's database, kept open between uses; one user at a time.

    It is made at its first use, and anew in each process. Statements are bounded by the server
    where it can do that for one transaction; `abort` breaks whatever is left.
    """

    def __init__(self, find: Callable[[], Source | None]) -> None:
        """Args: `find` says where the database is; None: there is none."""
        self._find = find
        self._ended = False
        self._idle_seconds = IDLE_SECONDS
        self._forget()

    def exists(self) -> bool:
        """Whether there is a database at all."""
        return self._find() is not None

    def address(self) -> str | None:
        """Host, port and name of the database, without user and password; None: there is none."""
        source = self._find()
        if source is None:
            return None
        url = source.engine.url
        return f"{url.get_backend_name()}://{url.host}:{url.port}/{url.database}"

    def login(self) -> str | None:
        """User and password as the host's URL has them; None: there is no database."""
        source = self._find()
        if source is None:
            return None
        url = source.engine.url
        return f"{url.username}:{url.password}"

    def use(self, work: Callable[[Connection], T], *, seconds: float) -> T:
        """The result of `work(connection)`; a connection that went stale is replaced once.

        Args:
            seconds: limit of each statement, and of the wait for another user.

        Raises:
            TimeoutError: another user has it for longer than that.
            LookupError: there is no database, or this was ended.
            Exception: what `work`, the driver or the host's own code raises.
        """
        if self._ended:
            raise LookupError("this app's mina_ops was closed")
        if self._pid != os.getpid():
            self._forget()
        me = object()
        self._waiting.add(me)
        taken = self._free.acquire(timeout=seconds)
        self._waiting.discard(me)
        if not taken:
            raise TimeoutError("another question to the database has no answer yet")
        try:
            return self._use(work, seconds)
        finally:
            self._used_at = time.monotonic()
            # Who waits takes it over.
            if self._ended or (self._idle_seconds <= 0 and not self._waiting):
                self._drop()
            self._free.release()

    def abort(self) -> None:
        """Break the present statement, from any thread, by shutting its socket down."""
        descriptor = self._descriptor
        if descriptor is None:
            return
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as link:
            link.shutdown(socket.SHUT_RDWR)

    def rest(self, idle_seconds: float = IDLE_SECONDS) -> None:
        """Close the connection if it has been idle for so long; called now and then.

        0: from now on it is closed as soon as nobody uses it.
        """
        self._idle_seconds = idle_seconds
        if self._kept and time.monotonic() - self._used_at > idle_seconds:
            self.close()

    def close(self) -> None:
        """Close the connection unless it is in use; the next use makes a new one."""
        if self._pid == os.getpid() and self._free.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._free.release()

    def end(self) -> None:
        """Close the connection for good, as soon as whoever uses it now has done; idempotent."""
        self._ended = True
        self.close()

    def _forget(self) -> None:
        # A forked child must not close what is its parent's: that would end the parent's session.
        self._inherited = getattr(self, "_kept", None)
        self._pid = os.getpid()
        self._free = threading.Lock()
        self._engine: Engine | None = None
        self._kept: list[Connection] = []
        self._descriptor: int | None = None
        self._used_at = 0.0
        self._waiting: set[object] = set()
        # Drivers complain of a connection that is forgotten open.
        weakref.finalize(self, _close_all, self._kept, os.getpid())

    def _use(self, work: Callable[[Connection], T], seconds: float) -> T:
        from sqlalchemy.exc import DBAPIError

        kept = bool(self._kept)
        try:
            with self._open(seconds) as connection:
                return work(connection)
        except DBAPIError:
            if not kept:
                raise
        with self._open(seconds) as connection:
            return work(connection)

    @contextmanager
    def _open(self, seconds: float) -> Iterator[Connection]:
        try:
            connection = self._connected()
            bounded = self._begin(connection, seconds)
            yield connection
            if bounded:
                connection.exec_driver_sql("COMMIT")
        except Exception:
            self._drop()
            raise

    def _begin(self, connection: Connection, seconds: float) -> bool:
        """Bound the statements of one transaction: a pooler's other clients must not inherit it.

        That is also why the limit is no start-up option, which poolers refuse.
        """
        if connection.dialect.name != "postgresql":
            return False
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
        return True

    def _connected(self) -> Connection:
        if not self._kept:
            if self._engine is None:
                source = self._find()
                if source is None:
                    raise LookupError("this app has no database")
                self._engine = source.own_engine()
            self._kept.append(self._engine.connect())
            self._descriptor = _descriptor(self._kept[0])
        return self._kept[0]

    def _drop(self) -> None:
        self._descriptor = None
        _close_all(self._kept, self._pid)


def _close_all(connections: list[Connection], pid: int) -> None:
    while connections and pid == os.getpid():
        connection = connections.pop()
        with suppress(Exception):
            connection.invalidate()
        with suppress(Exception):
            connection.close()


def _descriptor(connection: Connection) -> int | None:
    raw: Any = connection.connection.driver_connection
    # PyMySQL keeps its socket there.
    owners: tuple[Any, ...] = (raw, getattr(raw, "_sock", None))
    for owner in owners:
        with suppress(Exception):
            return int(owner.fileno())
    return None
