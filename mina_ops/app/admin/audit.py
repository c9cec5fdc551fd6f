"""The audit log: for every change who made it, what it was, before, after, and from where.

An entry goes to this process's log and to the shared log at once; both are bounded in time. Where
there is a database, a background thread copies it into `mina_ops_audit`, so a hung database
never holds up a drain or a kill. What a process could not copy before it ended is in the shared
log still, and the next process copies it.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from flask import has_request_context

from mina_ops.app.admin.auth import origin
from mina_ops.app.clock import Clock
from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import StateUnavailable

if TYPE_CHECKING:
    from mina_ops.app.admin.archive import Archive

_log = logging.getLogger(__name__)

MOST_ENTRIES = 1_000
_LONGEST_VALUE = 100_000  # characters of `before` and `after` each


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `at` is Unix time; `before` and `after` are JSON values."""

    id: str
    at: float
    actor: str
    action: str
    subject: str
    before: Any
    after: Any
    address: str
    correlation_id: str
    environment: str
    version: str

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


NAMES = tuple(field.name for field in fields(Entry))


def entry_of(texts: Mapping[str, Any]) -> Entry:
    """The entry of the texts that logs and tables hold; one that is missing is empty."""
    found: dict[str, Any] = {name: texts.get(name) or "" for name in NAMES}
    found |= {name: json.loads(found[name] or "null") for name in ("before", "after")}
    found["at"] = float(found["at"] or 0)
    return Entry(**found)


class Audit:
    """Records changes and reads them back.

    Args:
        store: holds the log that all colours share.
        identity: names the colour and release of this process.
        clock: dates the entries.
        database: whose table gets the entries, too; None: there is none.
    """

    def __init__(
        self, store: Store, identity: Identity, clock: Clock, database: OwnConnection | None = None
    ) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock
        self._archive = None if database is None else _archive_in(database)

    def record(
        self,
        *,
        actor: str,
        action: str,
        subject: str,
        before: Any,
        after: Any,
        address: str = "",
        correlation_id: str = "",
        log: str = keys.AUDIT_LOG,
        **_: str,
    ) -> None:
        """Record one change; never raises, and blocks for the store's timeout at most.

        Address and correlation id are those of the present request, unless they are given. `log`
        is the shared log that gets it.
        """
        if not correlation_id and has_request_context():
            found = origin()
            address, correlation_id = address or found[0], found[1]
        texts = {
            "id": uuid.uuid4().hex,
            "actor": actor,
            "action": action,
            "subject": subject,
            "before": _bounded(before),
            "after": _bounded(after),
            "address": address,
            "correlation_id": correlation_id,
            "environment": self._identity.environment,
            "version": self._identity.version,
            "at": f"{self._clock.now():.6f}",
        }
        _log.info("AUDIT %s", json.dumps(texts, sort_keys=True))
        try:
            self._store.append(log, texts)
        except StateUnavailable:
            _log.warning("The shared audit log is away; the line above is the record")
        if self._archive is not None:
            self._archive.add(texts, self._recent)

    def newest(self, count: int) -> list[Entry]:
        """The newest entries of the shared log, newest first; raises StateUnavailable."""
        found = self._store.records(keys.AUDIT_LOG, count=count)
        return [entry_of(texts) for _, texts in found if texts.get("id")]

    def entries(
        self, *, limit: int, before: float | None = None, **wanted: str
    ) -> tuple[list[Entry], dict[str, str]]:
        """The newest entries first, and what each source said (`ok` or why not).

        Args:
            before: only what is older than this Unix time.
            wanted: fields that must be equal, such as `actor` or `action`.

        Raises:
            StateUnavailable: neither the database nor the shared log can be read.
        """
        rows: list[dict[str, str]] = []
        archive_says = "none"
        if self._archive is not None:
            rows, archive_says = self._archive.read(limit=limit, before=before, wanted=wanted)
        sources = {"database": archive_says, "log": "ok"}
        try:
            rows = [*rows, *self._recent()]
        except StateUnavailable:
            sources["log"] = "away"
            if archive_says != "ok":
                raise
        found = {row["id"]: entry_of(row) for row in rows if row.get("id")}
        chosen = [entry for entry in found.values() if _matches(entry, before, wanted)]
        chosen.sort(key=lambda entry: (entry.at, entry.id), reverse=True)
        return chosen[:limit], sources

    def close(self) -> None:
        """Copy nothing more into the database; what is not copied yet is in the shared log."""
        if self._archive is not None:
            self._archive.close()

    def _recent(self) -> list[dict[str, str]]:
        logs = (keys.AUDIT_LOG, keys.REFUSED_LOG)
        found = [self._store.records(log, count=MOST_ENTRIES) for log in logs]
        return [texts for records in found for _, texts in records]


def _archive_in(database: OwnConnection) -> Archive:
    # Here, as a host without a database shall not load SQLAlchemy for us.
    from mina_ops.app.admin.archive import Archive

    return Archive(database)


def _matches(entry: Entry, before: float | None, wanted: Mapping[str, str]) -> bool:
    if before is not None and entry.at >= before:
        return False
    return all(getattr(entry, name) == value for name, value in wanted.items())


def _bounded(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    if len(text) <= _LONGEST_VALUE:
        return text
    return json.dumps({"too_long_to_keep": f"{len(text)} characters"})
