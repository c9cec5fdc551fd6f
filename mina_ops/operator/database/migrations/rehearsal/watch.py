"""What each statement of a migration does to tables that are in use: locks, scans, new files.

A statement's locks stay until its transaction ends, so what a later one does counts under all
that are held then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event

from mina_ops.operator.database.connection.sealed import sealed

# From the one that stops writes upwards. Source: PostgreSQL's manual, 13.3.
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
# They refuse to run in a transaction, and hold no lock that stops anybody.
_ALONE = re.compile(
    r"\s*(?:.*\bCONCURRENTLY\b|VACUUM|ALTER\s+TYPE\s+\S+\s+ADD\s+VALUE)", re.I | re.S
)
_TOO_LONG_MS = 60_000


@dataclass(frozen=True)
class Step:
    """What one statement did.

    Attributes:
        held: relation -> the strongest lock that stops writes, held when it was over.
        taken: those of them that it took itself.
        scanned: tables that it read from one end to the other.
        rewritten: tables and indexes that it gave new files.
        unlimited: timeouts that were not set, or set to more than a minute, when it began.
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
    """Listens to a connection, on which migrations run, from before its first statement."""

    def __init__(self, connection: Connection) -> None:
        self.steps: list[Step] = []
        self.revision = ""
        self._before = _State()
        self._wrapped = False
        event.listen(connection, "before_cursor_execute", self._begin)
        event.listen(connection, "after_cursor_execute", self._end)

    def _begin(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        session = cursor.connection
        self._wrapped = bool(getattr(session, "autocommit", False)) and not _ALONE.match(statement)
        if self._wrapped:
            # So that its locks are still there to be seen when it is over.
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
        self.steps.append(
            Step(
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
    """The rows of a statement on a driver's session, past whoever listens to SQLAlchemy's."""
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
    # A statement may take its time where it holds nobody up; waiting for a lock always does.
    return _TOO_LONG_MS if name == "lock_timeout" else 1 << 31


def _scans(state: _State, oid: int) -> int:
    return state.scans.get(oid, (0, 0))[0]


def _rank(mode: str) -> int:
    return BLOCKING_MODES.index(mode)
