"""What each kind of change does to code that runs, and how to do it in two releases instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

INCOMPATIBLE, BLOCKING, NOTE = "incompatible", "blocking", "note"


@dataclass(frozen=True)
class Danger:
    """One finding about a migration.

    Attributes:
        rule: the name of the rule that found it.
        level: `incompatible` (the running code breaks), `blocking` (a lock stops it) or `note`.
        subject: the table, column or other object that it is about.
        detail: what happens, a sentence.
        advice: what to do instead.
    """

    revision: str
    rule: str
    level: str
    subject: str
    detail: str
    advice: str


Rule = tuple[str, str, str]
"""Level, what happens, and what to do instead; words in braces are filled in."""

# By kind of change, which passes in its safe form; the last ones are of several changes together.
RULES: Mapping[str, Rule] = {
    "drop_column": (
        INCOMPATIBLE,
        "{subject} is dropped while the running code still maps it; its queries fail at once",
        "Release 1: remove {column} from the model and deploy both colours. Release 2, when no "
        "colour maps it: drop it.",
    ),
    "drop_table": (
        INCOMPATIBLE,
        "the table {table} is dropped while the running code still maps it",
        "Release 1: remove the model and deploy both colours. Release 2, when no colour maps it: "
        "drop it.",
    ),
    "rename_column": (
        INCOMPATIBLE,
        "{subject} is renamed while the running code still uses the old name",
        "Release 1: add the new column, write both, backfill. Release 2: read the new one. When "
        "no colour maps {column}: drop it.",
    ),
    "rename_table": (
        INCOMPATIBLE,
        "the table {table} is renamed while the running code still uses the old name",
        "Release 1: rename, and leave a view `CREATE VIEW {table} AS SELECT * FROM {column}` in "
        "the same transaction, or write to both. Release 2: drop the view.",
    ),
    "add_column": (
        INCOMPATIBLE,
        "{subject} is added NOT NULL without a default; inserts of the running code fail",
        "Release 1: add {column} nullable or with a server_default. Release 2, when all code "
        "writes it: backfill and set NOT NULL.",
    ),
    "set_not_null": (
        INCOMPATIBLE,
        "{subject} becomes NOT NULL while the running code may write NULL, and the whole table "
        "is scanned under an exclusive lock",
        "Release 1: write {column} always; add CHECK ({column} IS NOT NULL) NOT VALID, backfill, "
        "VALIDATE. Release 2: set NOT NULL (the check spares the scan), drop the check.",
    ),
    "change_type": (
        INCOMPATIBLE,
        "{subject} changes its type; the table is rewritten under an exclusive lock and the "
        "running code reads and writes the old type",
        "Release 1: add a second column of the new type, write both, backfill. Release 2: read "
        "the new one. Then drop {column}.",
    ),
    "drop_default": (
        INCOMPATIBLE,
        "{subject} loses its default; inserts of the running code that leave it out fail",
        "Release 1: let the code give {column} always. Release 2: drop the default.",
    ),
    "truncate": (
        INCOMPATIBLE,
        "{table} is emptied under the running code",
        "Empty it by a job in batches, or when no colour uses it any more.",
    ),
    "create_index": (
        BLOCKING,
        "the index {column} on {table} is not built concurrently; writes wait until it is done",
        "with op.get_context().autocommit_block(): op.create_index(..., "
        "postgresql_concurrently=True), in a migration of its own.",
    ),
    "drop_index": (
        BLOCKING,
        "the index {subject} is not dropped concurrently; reads and writes wait for the lock",
        "with op.get_context().autocommit_block(): op.drop_index(..., "
        "postgresql_concurrently=True), in a migration of its own.",
    ),
    "add_foreign_key": (
        BLOCKING,
        "a foreign key of {table} is checked against all rows at once; writes to both tables wait",
        "Migration 1: add it with postgresql_not_valid=True. Migration 2: ALTER TABLE {table} "
        "VALIDATE CONSTRAINT {column}, which blocks nobody.",
    ),
    "add_check": (
        BLOCKING,
        "a check of {table} is tested against all rows under an exclusive lock",
        "Migration 1: add it with postgresql_not_valid=True, after all code keeps it. "
        "Migration 2: ALTER TABLE {table} VALIDATE CONSTRAINT {column}.",
    ),
    "add_unique": (
        BLOCKING,
        "a unique constraint of {table} builds its index under an exclusive lock, and the running "
        "code may write doubles",
        "Release 1: let the code keep keys unique; CREATE UNIQUE INDEX CONCURRENTLY. Release 2: "
        "ALTER TABLE {table} ADD CONSTRAINT {column} UNIQUE USING INDEX.",
    ),
    "add_exclude": (
        BLOCKING,
        "an exclusion constraint of {table} builds its index under an exclusive lock",
        "It has no form that does not block: do it in a quiet hour with a short lock_timeout, or "
        "fill a new table that has it.",
    ),
    "rewrite": (
        BLOCKING,
        "{subject}: the whole table is rewritten under an exclusive lock (a stored or volatile "
        "value for each row, serial or identity, another storage, VACUUM FULL, CLUSTER)",
        "Add the column nullable and without such a default, fill it in batches by a job, then set "
        "the default for new rows.",
    ),
    "reindex": (
        BLOCKING,
        "an index is rebuilt under a lock that holds up writes and queries",
        "REINDEX ... CONCURRENTLY, outside a transaction.",
    ),
    "refresh": (
        BLOCKING,
        "the view {table} is refreshed under an exclusive lock; its readers wait",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY {table}, in a job; it needs a unique index.",
    ),
    "lock": (
        BLOCKING,
        "{table} is locked until the migration ends",
        "Leave the lock out, or do what needs it in batches, in a job.",
    ),
    "attach_partition": (
        BLOCKING,
        "{column} is scanned while it becomes a partition of {table}, under an exclusive lock",
        "Migration 1: give {column} a CHECK of the partition's bounds NOT VALID, then VALIDATE it. "
        "Migration 2: attach, which then needs no scan; drop the check.",
    ),
    "detach_partition": (
        BLOCKING,
        "the partition {column} leaves {table} under an exclusive lock",
        "ALTER TABLE {table} DETACH PARTITION {column} CONCURRENTLY, in an autocommit_block.",
    ),
    "drop_view": (
        INCOMPATIBLE,
        "the view {table} is dropped, and not made again, while the running code may read it",
        "CREATE OR REPLACE VIEW, or make it again in the same migration. Drop it in the release "
        "after the one that no longer reads it.",
    ),
    "cascade": (
        INCOMPATIBLE,
        "CASCADE drops what depends on it too, unnamed: views, foreign keys ({column})",
        "Name each object that goes and judge each; leave CASCADE out, so that a forgotten one "
        "stops the migration.",
    ),
    "row_security": (
        INCOMPATIBLE,
        "row security is switched on for {table}; the running code sees no row that no policy "
        "lets it see",
        "Release 1: create policies that let the app's role see all. Release 2: switch it on, then "
        "narrow them.",
    ),
    "revoke": (
        INCOMPATIBLE,
        "rights on {table} are taken from roles that the running code may log in as",
        "Release 1: let all code use the new role. Release 2: revoke.",
    ),
    "enum_renamed": (
        INCOMPATIBLE,
        "the value {column} of the type {table} is renamed; the running code knows the old one",
        "Release 1: add the new value, read both. Release 2: write the new one, change the rows in "
        "batches. Old values stay; PostgreSQL cannot drop them.",
    ),
    "enum_value": (
        NOTE,
        "the type {table} gets {column}; code that maps it as an Enum cannot read rows that have "
        "it",
        "Release 1: add the value and let all code read it. Release 2: write it.",
    ),
    "drop_constraint": (
        NOTE,
        "{table} loses the constraint {column}; an ON CONFLICT of the running code that names its "
        "columns fails",
        "Release 1: let no code rely on it. Release 2: drop it.",
    ),
    "update": (
        NOTE,
        "{table} is changed in one statement; its rows stay locked until the migration ends",
        "Backfill in batches of some thousand rows, in a job outside the migration.",
    ),
    "delete": (
        NOTE,
        "rows of {table} are removed in one statement; they stay locked until it ends",
        "Remove them in batches, in a job outside the migration.",
    ),
    "in_a_view": (
        BLOCKING,
        "{subject} is read by the view {views}, so PostgreSQL refuses the change",
        "Drop the view and make it again without it in the same migration.",
    ),
    "concurrent_in_transaction": (
        BLOCKING,
        "{name} is built, dropped or detached CONCURRENTLY inside a transaction, which PostgreSQL "
        "refuses; the migration fails halfway",
        "Put it into `with op.get_context().autocommit_block():`.",
    ),
    "validated_at_once": (
        BLOCKING,
        "{column} of {table} is validated in the transaction that adds it, so the exclusive lock "
        "of adding it is held for the whole scan",
        "Validate in a later migration, and give each its transaction: "
        "context.configure(..., transaction_per_migration=True) in env.py.",
    ),
    "enum_value_used_at_once": (
        BLOCKING,
        "the new value {value} is used in the transaction that adds it, which PostgreSQL refuses",
        "Add the value in an autocommit_block or an earlier release, and use it afterwards.",
    ),
    "irreversible": (
        NOTE,
        "its downgrade does nothing, so staging cannot rehearse `flask db downgrade -1`",
        "Write the downgrade; production never runs it.",
    ),
}
# What is left of `set_not_null` where the running code writes the column in every insert.
SCAN = (
    NOTE,
    "{subject} becomes NOT NULL; the whole table is scanned under an exclusive lock",
    "A validated CHECK ({column} IS NOT NULL) spares the scan: add it NOT VALID, VALIDATE it, set "
    "NOT NULL, drop it.",
)
OF_COLUMNS = ("drop_column", "rename_column", "change_type")
OF_TABLES = ("drop_table", "rename_table")
# Kinds that lock a table exclusively, if only for a moment, so that they need a lock_timeout.
LOCKING = {*OF_COLUMNS, *OF_TABLES, "add_column", "set_not_null", "drop_default", "truncate"}
LOCKING |= {"add_foreign_key", "add_check", "add_unique", "add_exclude", "drop_constraint"}
LOCKING |= {"reference", "trigger", "row_security", "attach_partition", "detach_partition"}


def of_rule(
    revision: str,
    rule: str,
    subject: str,
    words: Mapping[str, str] | None = None,
    text: Rule | None = None,
) -> Danger:
    """The finding of a rule.

    Args:
        words: filled into the text, besides `subject`.
        text: what it says; default: what the table says.
    """
    level, detail, advice = text or RULES[rule]
    filled = {"subject": subject, **(words or {})}
    return Danger(revision, rule, level, subject, detail.format(**filled), advice.format(**filled))
