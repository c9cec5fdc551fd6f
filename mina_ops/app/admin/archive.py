"""The database's audit table, written beside requests and read with a time limit."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, Text, select

from mina_ops.app.database.connection import OwnConnection

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
_STATEMENT_SECONDS = 2.0


class Archive:
    """Copies entries into the table.

    Args:
        own: our connection to the database, which others use as well.
    """

    def __init__(self, own: OwnConnection) -> None:
        self._own = own
        self._pid = 0
        self._waiting: queue.Queue[Texts | None] = queue.Queue(_MOST_WAITING)
        """Entries to copy; None wakes the thread that copies, to see that it shall end."""
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._warned = False

    def add(self, texts: Texts, recent: Callable[[], list[Texts]]) -> None:
        """Copy an entry soon; returns at once.

        Args:
            recent: the shared log, from which this process's first copy takes what others left.
        """
        self._start(recent)
        try:
            self._waiting.put_nowait(texts)
        except queue.Full:
            _log.warning("The audit table is too far behind; an entry is in the shared log only")

    def read(
        self, *, limit: int, before: float | None, wanted: Mapping[str, str]
    ) -> tuple[list[Texts], str]:
        """The newest rows, and `ok`; or none, and `none`, `away` or `not migrated`."""
        if not self._own.exists():
            return [], "none"
        statement = select(TABLE).order_by(TABLE.c.at.desc()).limit(limit)
        if before is not None:
            statement = statement.where(TABLE.c.at < before)
        for name, value in wanted.items():
            statement = statement.where(TABLE.c[name] == value)

        def ask(connection: Connection) -> list[Texts]:
            return [dict(row) for row in connection.execute(statement).mappings()]

        try:
            return self._own.use(ask, seconds=_STATEMENT_SECONDS), "ok"
        except Exception as exc:
            return [], _reason(exc)

    def close(self) -> None:
        """Stop copying after the present attempt; what it leaves is in the shared log."""
        self._stop.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)

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

    def _run(self, recent: Callable[[], list[Texts]], waiting: queue.Queue[Texts | None]) -> None:
        own = self._own
        if not own.exists():
            return
        behind = self._left_by_others(recent)
        failures = 0
        while not self._stop.is_set():
            came = [] if behind else [waiting.get()]
            while not waiting.empty():
                came.append(waiting.get_nowait())
            behind += [texts for texts in came if texts is not None]
            if not behind:
                continue
            try:
                own.use(partial(_insert, rows=behind), seconds=_STATEMENT_SECONDS)
            except Exception as exc:
                # Any: what fetches the host's password may raise what it likes.
                del behind[:-_MOST_WAITING]
                self._warn(exc)
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
    """Write the rows that are not there; fails if another process writes one in this moment."""
    known = set(
        connection.scalars(select(TABLE.c.id).where(TABLE.c.id.in_([row["id"] for row in rows])))
    )
    for row in rows:
        if row["id"] not in known:
            connection.execute(TABLE.insert().values(_fitting(row)))


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
