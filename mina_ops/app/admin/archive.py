"""The database's audit table, written beside requests and read with a time limit."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, Text, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

T = TypeVar("T")

_log = logging.getLogger(__name__)

Texts = dict[str, str]

TABLE = Table(
    "mina_ops_audit",
    MetaData(),
    Column("id", String(32), primary_key=True),
    Column("at", Float(53), nullable=False, index=True),
    Column("actor", String(200), nullable=False),
    Column("action", String(100), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("address", String(100), nullable=False),
    Column("correlation_id", String(200), nullable=False),
    Column("environment", String(32), nullable=False),
    Column("version", String(100), nullable=False),
)
"""As `migrations/` makes it."""

_MOST_WAITING = 10_000
_RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)


class Link(Protocol):
    """A connection of our own to the database; one user at a time."""

    def use(self, work: Callable[[Connection], T]) -> T:
        """The result of `work(connection)`, bounded in time where the driver can."""


class Background(Protocol):
    """Runs calls that block without yielding beside the requests of this process."""

    def natively(self, call: Callable[[], T]) -> T:
        """The result of `call()`; only the caller waits."""


class Archive:
    """Copies entries into the table. Without a database it takes none and holds none.

    Args:
        connect: a new link, or None where there is no database.
        background: made once in each process.
    """

    def __init__(
        self,
        connect: Callable[[], Link | None] | None = None,
        background: Callable[[], Background] | None = None,
    ) -> None:
        self._connect = connect
        self._background = background
        self._made: tuple[int, Background] | None = None
        self._pid = 0
        self._waiting: queue.Queue[Texts] = queue.Queue(_MOST_WAITING)
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._warned = False

    def add(self, texts: Texts, recent: Callable[[], list[Texts]]) -> None:
        """Copy an entry soon; returns at once.

        Args:
            recent: the shared log, from which this process's first copy takes what others left.
        """
        if self._connect is None:
            return
        self._start(recent)
        try:
            self._waiting.put_nowait(texts)
        except queue.Full:
            _log.warning("The audit table is too far behind; an entry is in the shared log only")

    def read(
        self, *, limit: int, before: float | None, wanted: Mapping[str, str]
    ) -> tuple[list[Texts], str]:
        """The newest rows, and `ok`; or none, and `none`, `away` or `not migrated`."""
        if self._connect is None:
            return [], "none"
        statement = select(TABLE).order_by(TABLE.c.at.desc()).limit(limit)
        if before is not None:
            statement = statement.where(TABLE.c.at < before)
        for name, value in wanted.items():
            statement = statement.where(TABLE.c[name] == value)

        def ask(connection: Connection) -> list[Texts]:
            return [dict(row) for row in connection.execute(statement).mappings()]

        found = self._natively(partial(self._opened, ask))
        if isinstance(found, Exception):
            return [], _reason(found)
        return ([], "none") if found is None else (found, "ok")

    def close(self) -> None:
        """Stop copying after the present attempt; for tests and exits."""
        self._stop.set()

    def _opened(self, work: Callable[[Connection], T]) -> T | None:
        link = self._connect() if self._connect is not None else None
        return None if link is None else link.use(work)

    def _start(self, recent: Callable[[], list[Texts]]) -> None:
        with self._starting:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._waiting = queue.Queue(_MOST_WAITING)
            if not self._stop.is_set():
                # Anew: threads may have been patched since this object was made.
                self._stop = threading.Event()
        threading.Thread(
            target=self._run, args=(recent, self._waiting), name="mina_ops-audit", daemon=True
        ).start()

    def _run(self, recent: Callable[[], list[Texts]], waiting: queue.Queue[Texts]) -> None:
        link = self._connect() if self._connect is not None else None
        if link is None:
            return
        behind = self._left_by_others(recent)
        failures = 0
        while not self._stop.is_set():
            if not behind:
                behind.append(waiting.get())
            while not waiting.empty():
                behind.append(waiting.get_nowait())
            fault = self._natively(partial(link.use, partial(_insert, rows=behind)))
            if isinstance(fault, Exception):
                del behind[:-_MOST_WAITING]
                self._warn(fault)
                self._stop.wait(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1
            else:
                behind, failures, self._warned = [], 0, False

    def _left_by_others(self, recent: Callable[[], list[Texts]]) -> list[Texts]:
        try:
            return [texts for texts in recent() if texts.get("id")]
        except Exception as exc:
            _log.debug("The shared audit log cannot be read: %s", exc)
            return []

    def _natively(self, call: Callable[[], T]) -> T | Exception:
        def safely() -> T | Exception:
            try:
                return call()
            except (SQLAlchemyError, OSError, ImportError) as exc:
                return exc

        if self._background is None:
            return safely()
        if self._made is None or self._made[0] != os.getpid():
            self._made = (os.getpid(), self._background())
        return self._made[1].natively(safely)

    def _warn(self, fault: Exception) -> None:
        if not self._warned:
            hint = (
                "run `flask mina-ops upgrade`" if _reason(fault) == "not migrated" else "retrying"
            )
            _log.warning(
                "Entries wait for the audit table (%s, %s); the shared log has them",
                type(fault).__name__,
                hint,
            )
        self._warned = True


def _insert(connection: Connection, rows: list[Texts]) -> None:
    known = set(
        connection.scalars(select(TABLE.c.id).where(TABLE.c.id.in_([row["id"] for row in rows])))
    )
    for row in rows:
        if row["id"] not in known:
            try:
                connection.execute(TABLE.insert().values(_fitting(row)))
            except IntegrityError:
                continue  # another process copied it in this very moment


def _fitting(row: Texts) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column in TABLE.columns:
        text = row.get(column.name, "")
        length = getattr(column.type, "length", None)
        values[column.name] = text[:length] if length else text
    values["at"] = float(row["at"])
    return values


def _reason(fault: Exception) -> str:
    text = str(getattr(fault, "orig", fault)).lower()
    missing = "no such table" in text or "does not exist" in text or "doesn't exist" in text
    return "not migrated" if missing and "mina_ops_audit" in text else "away"
