"""Judges by rules whether a coming migration is compatible with the code that runs.

The way that is always safe takes two releases: the first one only adds to the schema, the second
one removes what no code uses any more. Each finding says how to take it.

Source: the rules' reasons are PostgreSQL 15's manual (ALTER TABLE, CREATE INDEX, 13.3 on locks)
and the parallel-change pattern (Fowler, 2014). squawk adds its own where it is installed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mina_ops.operator.database.migrations.change import Change
from mina_ops.operator.database.migrations.changes import changes
from mina_ops.operator.database.migrations.facts import Facts, refused
from mina_ops.operator.database.migrations.lint_rules import (
    BLOCKING,
    NOTE,
    OF_COLUMNS,
    OF_TABLES,
    RULES,
    SCAN,
    Danger,
    of_rule,
)
from mina_ops.operator.database.migrations.lint_transactions import Transactions
from mina_ops.operator.database.migrations.mapped import Mapped
from mina_ops.operator.database.migrations.render import Rendered

_IF_MISSING = re.compile(r"\bTABLE\s+IF\s+NOT\s+EXISTS\b", re.I)


@dataclass(frozen=True)
class LintReport:
    """All findings about the coming migrations; `remarks` say what could not be looked at."""

    revisions: tuple[str, ...]
    dangers: tuple[Danger, ...]
    remarks: tuple[str, ...] = ()

    @property
    def compatible(self) -> bool:
        """Whether the running code survives them, without a lock that stops it."""
        return all(danger.level == NOTE for danger in self.dangers)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON's types."""
        return {
            "compatible": self.compatible,
            "revisions": list(self.revisions),
            "findings": [asdict(danger) for danger in self.dangers],
            "remarks": list(self.remarks),
        }

    def to_text(self) -> str:
        """The report as lines for a terminal."""
        lines = []
        for danger in self.dangers:
            lines.append(f"{danger.revision} {danger.level}: {danger.detail} [{danger.rule}]")
            lines.append(f"  -> {danger.advice}")
        lines += [f"Remark: {remark}" for remark in self.remarks]
        end = "compatible with the running code" if self.compatible else "NOT safe to run now"
        lines.append(f"{len(self.revisions)} migrations: {end}.")
        return "\n".join(lines)


def judge(
    migrations: Sequence[Rendered],
    mapped: Mapped | None,
    *,
    dialect: str = "postgresql",
    timeouts_set: bool = False,
    transaction_per_migration: bool = False,
    facts: Facts | None = None,
    reviewed: Sequence[str] = (),
) -> LintReport:
    """The findings about migrations that are to run, in order, under the code that runs.

    Args:
        mapped: what that code maps; None: unknown, so it is taken to map everything.
        timeouts_set: lock and statement timeouts come from elsewhere (env.py, the role).
        transaction_per_migration: as in env.py; by default an upgrade has one for all of them.
        facts: what the database itself says, if it was asked.
        reviewed: revisions that somebody has judged by hand; what is found there is a note.
    """
    dangers: list[Danger] = []
    remarks: list[str] = []
    new: set[str] = set()
    transactions = Transactions(
        timeouts_set=timeouts_set, transaction_per_migration=transaction_per_migration
    )
    for rendered in migrations:
        found = changes(rendered)
        ours = _of_old_tables(found, new)
        dangers += _dangers(rendered.revision, ours, mapped, dialect)
        if dialect == "postgresql":
            dangers += transactions.judge(rendered.revision, ours)
            dangers += refused(rendered.revision, found, facts or Facts())
        if not rendered.reversible:
            dangers.append(of_rule(rendered.revision, "irreversible", rendered.revision))
        if rendered.problem:
            dangers.append(_unjudged(rendered.revision, rendered.problem))
    if mapped is None and migrations:
        remarks.append(
            "What the running code maps is unknown, so it is taken to map everything; "
            "`mina-ops db mapped` writes it down."
        )
    accepted = [replace(d, level=NOTE) if d.revision in reviewed else d for d in dangers]
    return LintReport(tuple(r.revision for r in migrations), tuple(accepted), tuple(remarks))


def _of_old_tables(found: Sequence[Change], new: set[str]) -> list[Change]:
    """The changes to tables that were there before these migrations.

    `new` holds the tables that earlier ones of these migrations made, and gets those of this one.
    """
    kept = []
    for position, change in enumerate(found):
        if change.kind == "create_table":
            # With IF NOT EXISTS, a table that is there already stays, with its rows.
            new |= set() if _IF_MISSING.search(change.text) else {change.table}
        elif change.kind == "drop_view":
            if not any(_makes(later, change.table) for later in found[position:]):
                kept.append(change)
        elif change.table not in new:
            kept.append(change)
    return kept


def _makes(change: Change, view: str) -> bool:
    return change.kind == "create_view" and change.table == view


def _dangers(
    revision: str, found: Sequence[Change], mapped: Mapped | None, dialect: str
) -> list[Danger]:
    dangers = [_danger(revision, change, mapped, dialect) for change in found]
    unknown = [change for change in found if change.kind == "unknown"]
    return [danger for danger in dangers if danger is not None] + [
        _unjudged(revision, f"nobody can say what this does: {change.column}") for change in unknown
    ]


def _danger(revision: str, change: Change, mapped: Mapped | None, dialect: str) -> Danger | None:
    text = RULES.get(change.kind)
    if text is not None and change.kind == "set_not_null" and _is_harmless(change, mapped):
        text = SCAN
    elif text is None or change.safe or _is_harmless(change, mapped):
        return None
    if text[0] == BLOCKING and dialect != "postgresql":
        return None
    is_column = change.column and change.kind not in OF_TABLES
    subject = f"{change.table}.{change.column}" if is_column else change.table
    words = {"table": change.table, "column": change.column or "NAME"}
    return of_rule(revision, change.kind, subject, words, text)


def _is_harmless(change: Change, mapped: Mapped | None) -> bool:
    """Whether the running code does not use what is changed, or writes it in any case."""
    if mapped is None:
        return False
    if change.kind in (*OF_TABLES, "drop_view"):
        return not mapped.has_table(change.table)
    if change.kind in OF_COLUMNS:
        return not mapped.has_column(change.table, change.column)
    if change.kind == "add_column":
        return not mapped.has_table(change.table)
    if change.kind == "set_not_null":
        return mapped.always_writes(change.table, change.column)
    return change.kind == "drop_default" and mapped.always_writes(change.table, change.column)


def _unjudged(revision: str, problem: str) -> Danger:
    return Danger(
        revision,
        "unjudged",
        BLOCKING,
        revision,
        problem,
        f"Review it by hand, then say so: --reviewed {revision}. Better: move data by a job, and "
        "let migrations change the schema alone.",
    )
