"""Observes what each statement of a migration does to tables: locks, scans, new files.

A lock is held until its transaction ends. So a scan counts as one under lock if any earlier
statement of the same transaction locked something: ALTER TABLE a, then UPDATE b, holds up whoever
reads a for as long as the update of b takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event

from mina_ops.operator.database.connection.sealed import sealed

# Locks that hold up writes, the weakest first. Source: PostgreSQL's manual, 13.3.
BLOCKING_MODES = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_LOCKS = sealed("""
SELECT l.relation, l.mode FROM pg_locks AS l
WHERE (l.pid = pg_backend_pid()) AND ((l.locktype = 'relation') AND l.granted)
""")
_SCANS = sealed("""
SELECT c.oid, pg_stat_get_xact_numscans(c.oid), coalesce(pg_relation_filenode(c.oid), 0)
FROM pg_class AS c WHERE (c.oid >= '16384'::oid)
  AND (c.relkind = ANY (ARRAY['r'::"char", 'm'::"char", 'i'::"char"]))
""")
_TIMEOUTS = sealed("""
SELECT s.name, s.setting::int8 FROM pg_settings AS s
WHERE s.name = ANY (ARRAY['lock_timeout', 'statement_timeout'])
""")
# PostgreSQL refuses these in a transaction; they hold no lock that stops anybody.
_ALONE = re.compile(
    r"\s*(?:.*\bCONCURRENTLY\b|VACUUM|ALTER\s+TYPE\s+\S+\s+ADD\s+VALUE)", re.I | re.S
)
_TOO_LONG_MS = 60_000


@dataclass(frozen=True)
class Effect:
    """What one statement did.

    Attributes:
        held: oid of a relation -> the strongest lock that stops writes, held after the statement.
        taken: those of them that this statement took.
        scanned: tables that it read from one end to the other.
        rewritten: tables and indexes that it gave new files.
        unlimited: lock_timeout if it was not set or above a minute when the statement began, and
            statement_timeout if it was not set.
    """

    revision: str
    statement: str
    held: Mapping[int, str]
    taken: frozenset[int]
    scanned: frozenset[int]
    rewritten: frozenset[int]
    unlimited: Sequence[str]


@dataclass
class _State:
    locks: dict[int, str] = field(default_factory=dict)
    scans: dict[int, tuple[int, int]] = field(default_factory=dict)
    unlimited: list[str] = field(default_factory=list)


class Watch:
    """Listens to a connection on which migrations run, and keeps the effect of each statement.

    Attributes:
        revision: the migration that runs now; set by whoever runs it.
    """

    def __init__(self, connection: Connection) -> None:
        self.effects: list[Effect] = []
        self.revision = ""
        self._before = _State()
        self._wrapped = False
        event.listen(connection, "before_cursor_execute", self._begin)
        event.listen(connection, "after_cursor_execute", self._end)

    def _begin(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        session = cursor.connection
        self._wrapped = bool(getattr(session, "autocommit", False)) and not _ALONE.match(statement)
        if self._wrapped:
            # In autocommit its locks would be gone before they could be looked at.
            ask(session, "BEGIN")
        self._before = _state(session)

    def _end(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        session, before = cursor.connection, self._before
        after = _state(session)
        rose = {oid for oid, (scans, _) in after.scans.items() if scans > _scans(before, oid)}
        moved = {
            oid
            for oid, (_, file) in after.scans.items()
            if oid in before.scans and before.scans[oid][1] != file
        }
        held = after.locks
        taken = frozenset(o for o, mode in held.items() if before.locks.get(o) != mode)
        self.effects.append(
            Effect(
                self.revision,
                " ".join(statement.split())[:80],
                held,
                taken,
                frozenset(rose),
                frozenset(moved),
                before.unlimited,
            )
        )
        if self._wrapped:
            ask(session, "COMMIT")


def ask(session: Any, statement: str) -> list[Any]:
    """The rows of a statement, run on the driver's own session, so that no listener hears of it."""
    cursor = session.cursor()
    try:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        cursor.close()


def _state(session: Any) -> _State:
    state = _State()
    for relation, mode in ask(session, _LOCKS):
        known = state.locks.get(relation)
        if mode in BLOCKING_MODES and (known is None or _rank(mode) > _rank(known)):
            state.locks[relation] = mode
    state.scans = {oid: (scans, file) for oid, scans, file in ask(session, _SCANS)}
    state.unlimited = [
        name for name, limit in ask(session, _TIMEOUTS) if not 0 < limit <= _limit(name)
    ]
    return state


def _limit(name: str) -> int:
    # A long statement holds nobody up by itself; one that waits for a lock always does.
    return _TOO_LONG_MS if name == "lock_timeout" else 1 << 31


def _scans(state: _State, oid: int) -> int:
    return state.scans.get(oid, (0, 0))[0]


def _rank(mode: str) -> int:
    return BLOCKING_MODES.index(mode)
