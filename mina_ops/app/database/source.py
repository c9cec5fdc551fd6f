"""New database connections, made exactly as the host's engine makes its own."""

from __future__ import annotations

import threading
from typing import Any

from flask import Flask
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Dialect, Engine
from sqlalchemy.pool import NullPool

from mina_ops.app.database.driver import Driver
from mina_ops.app.native import Native


class Source:
    """Makes connections of our own from an engine.

    The engine's creator, its events (a token that is fetched for each connect, a `SET` after it)
    and its arguments are all obeyed, since the connection comes from a copy of its pool. The
    host's code among these runs where it would run for the host; only the last step, the driver's
    own connect, is ours where we can: bounded in time, and beside a green loop.
    """

    def __init__(self, engine: Engine, native: Native, app: Flask) -> None:
        self.engine = engine
        self._app = app
        self._driver = Driver(engine.dialect, native)
        self._connecting: set[int] = set()
        event.listen(engine, "do_connect", self._connect)

    def connect(self) -> Any:
        """A new DBAPI connection that belongs to no pool.

        Raises:
            Exception: whatever the driver, or the host's own code, raises.
        """
        me = threading.get_ident()
        self._connecting.add(me)
        try:
            with self._app.app_context():
                # A copy each time: the host may have added events since.
                pooled = self.engine.pool.recreate().connect()
        finally:
            self._connecting.discard(me)
        pooled.detach()
        raw: Any = pooled.dbapi_connection
        # What an event of the host has set stays, and no transaction is left open behind it.
        self._driver.execute(raw.commit)
        return raw

    def own_engine(self) -> Engine:
        """An engine of ours over such connections: same dialect, no pool, autocommit."""
        url = self.engine.url
        # The host's look-up of the hstore type would be one more round trip for nothing.
        options: dict[str, Any] = {}
        if self.engine.dialect.driver in ("psycopg", "psycopg2"):
            options["use_native_hstore"] = False
        own = create_engine(
            URL.create(url.drivername),
            creator=self.connect,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            **options,
        )
        for name in ("do_execute", "do_execute_no_params", "do_executemany"):
            event.listen(own, name, getattr(self, f"_{name}"))
        return own

    def _connect(self, dialect: Dialect, record: Any, cargs: Any, cparams: Any) -> Any:
        """Make our own connections; the host's are not ours to touch (None: go on)."""
        if threading.get_ident() not in self._connecting:
            return None
        # The host's events that were added after ours would come too late.
        listeners = list(dialect.dispatch.do_connect)
        for later in listeners[listeners.index(self._connect) + 1 :]:
            made = later(dialect, record, cargs, cparams)
            if made is not None:
                return made
        return self._driver.connect(cargs, cparams)

    def _do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        self._driver.execute(cursor.execute, statement, parameters)
        return True

    def _do_execute_no_params(self, cursor: Any, statement: str, context: Any) -> bool:
        self._driver.execute(cursor.execute, statement)
        return True

    def _do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        self._driver.execute(cursor.executemany, statement, parameters)
        return True
