"""Rules about several statements of one transaction.

They find locks that are waited for without a timeout, locks that are held during a scan, and
statements that PostgreSQL refuses within a transaction, or after another one in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mina_ops.operator.database.migrations.change import Change
from mina_ops.operator.database.migrations.lint_rules import BLOCKING, LOCKING, Danger, of_rule

_TIMEOUTS = ("lock_timeout", "statement_timeout")


class Transactions:
    """Goes through migrations in order and knows what the open transaction has done.

    Args:
        timeouts_set: lock and statement timeouts come from elsewhere, as from env.py or the role.
        transaction_per_migration: each has its own; else one transaction holds all of them.
    """

    def __init__(self, *, timeouts_set: bool, transaction_per_migration: bool) -> None:
        self._timeouts_set = timeouts_set
        self._per_migration = transaction_per_migration
        self._not_valid: set[tuple[str, str]] = set()
        self._values: set[str] = set()

    def judge(self, revision: str, found: Sequence[Change]) -> list[Danger]:
        """The dangers of one migration, the next in order."""
        if self._per_migration:
            self._begin_anew()
        dangers = list(_timeouts(revision, found)) if not self._timeouts_set else []
        for change in found:
            if change.outside:
                self._begin_anew()
            else:
                dangers += self._of_change(revision, change)
        return dangers

    def _begin_anew(self) -> None:
        self._not_valid.clear()
        self._values.clear()

    def _of_change(self, revision: str, change: Change) -> Iterator[Danger]:
        key = (change.table, change.column)
        if change.kind in ("create_index", "drop_index", "reindex", "detach_partition"):
            if change.concurrent:
                subject, name = f"{change.table}.{change.column}", change.column or change.table
                yield of_rule(revision, "concurrent_in_transaction", subject, {"name": name})
        elif change.kind in ("add_foreign_key", "add_check") and change.safe:
            self._not_valid.add(key)
        elif change.kind == "validate" and key in self._not_valid:
            words = {"table": change.table, "column": change.column}
            subject = f"{change.table}.{change.column}"
            yield of_rule(revision, "validated_at_once", subject, words)
        if change.kind == "enum_value":
            self._values.add(change.column)
        elif used := [value for value in self._values if value in change.text]:
            yield of_rule(revision, "enum_value_used_at_once", change.table, {"value": used[0]})


def set_timeouts(names: Sequence[str]) -> str:
    """The advice to set these timeouts, as lines that can be copied into a migration."""
    lines = "; ".join(f"op.execute(\"SET LOCAL {name} = '5s'\")" for name in names)
    return f"Begin with {lines} (after an autocommit_block again), or set them once in env.py."


def _timeouts(revision: str, found: Sequence[Change]) -> Iterator[Danger]:
    given: dict[str, bool] = {}
    for change in found:
        if change.outside and change.kind != "timeout":
            # SET LOCAL ended with the transaction that the autocommit_block committed.
            given = {name: local for name, local in given.items() if not local}
        if change.kind == "timeout":
            given[change.table] = change.safe
        missing = [name for name in _TIMEOUTS if name not in given]
        if change.kind in LOCKING and missing:
            yield _no_timeout(revision, change, missing)
            return


def _no_timeout(revision: str, change: Change, missing: Sequence[str]) -> Danger:
    return Danger(
        revision,
        "timeout",
        BLOCKING,
        change.table,
        f"{' and '.join(missing)} missing: while it waits for a lock on {change.table}, every "
        "other statement on that table queues behind it",
        set_timeouts(missing),
    )
