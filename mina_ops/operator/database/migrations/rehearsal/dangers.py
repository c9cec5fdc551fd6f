"""Findings about what a rehearsal showed: what breaks the running code, what blocks it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mina_ops.operator.database.migrations.lint_rules import (
    BLOCKING,
    INCOMPATIBLE,
    RULES,
    Danger,
    of_rule,
)
from mina_ops.operator.database.migrations.lint_transactions import set_timeouts
from mina_ops.operator.database.migrations.mapped import Mapped
from mina_ops.operator.database.migrations.rehearsal.schema import Column, Relation, Schema
from mina_ops.operator.database.migrations.rehearsal.watch import Effect

_TABLES = ("r", "p", "v", "m", "f")
_TEXTS = {"text", "varchar"}


def of_effects(effects: Sequence[Effect], old: Schema, version_table: str) -> Iterator[Danger]:
    """Scans and rewrites while something in use is locked; locks waited for without a limit.

    Each rule is told once for a migration.

    Args:
        old: the schema that the running code knows.
        version_table: Alembic's own table, which does not count.
    """
    told: set[tuple[str, str]] = set()
    for effect in effects:
        for danger in _of_effect(effect, old, version_table):
            if (effect.revision, danger.rule) not in told:
                told.add((effect.revision, danger.rule))
                yield danger


def _of_effect(effect: Effect, old: Schema, version_table: str) -> Iterator[Danger]:
    def name(oid: int) -> str:
        return old.relations[oid].name

    held = [oid for oid in effect.held if oid in old.relations and name(oid) != version_table]
    held = [oid for oid in held if old.relations[oid].kind in _TABLES]
    for oid in sorted(effect.rewritten):
        if oid in old.relations and old.relations[oid].kind in ("r", "m", "i"):
            detail = f"{name(oid)} is written anew, whole, while it is locked: {effect.statement}"
            yield Danger(
                effect.revision, "rewrite", BLOCKING, name(oid), detail, RULES["rewrite"][2]
            )
    # Alembic itself updates the one row of its own table, which counts as a scan of its index.
    read = [old.relations[oid].table for oid in sorted(effect.scanned) if oid in old.relations]
    read = [oid for oid in read if name(oid) != version_table]
    if read and held:
        yield _scan(effect, name(read[0]), sorted(map(name, held)), effect.held[held[0]])
    taken = [oid for oid in held if oid in effect.taken]
    if taken and effect.unlimited:
        yield _no_limit(effect, name(taken[0]))


def _scan(effect: Effect, read: str, held: Sequence[str], mode: str) -> Danger:
    return Danger(
        effect.revision,
        "scan_under_lock",
        BLOCKING,
        read,
        f"{read} is read from end to end while {', '.join(held)} is locked ({mode}), and others "
        f"wait as long as that takes: {effect.statement}",
        "Split it: what locks in one migration, what reads or fills rows in a later one or a job, "
        "each in its own transaction (transaction_per_migration=True in env.py). Constraints: NOT "
        "VALID first, VALIDATE later. Indexes: CONCURRENTLY.",
    )


def _no_limit(effect: Effect, table: str) -> Danger:
    missing = " and ".join(effect.unlimited)
    return Danger(
        effect.revision,
        "timeout",
        BLOCKING,
        table,
        f"{missing} not set (or lock_timeout above a minute) when it locks {table}: while it "
        f"waits, every other statement on that table queues behind it: {effect.statement}",
        set_timeouts(effect.unlimited),
    )


def of_schema(
    revision: str, old: Schema, before: Schema, after: Schema, mapped: Mapped | None
) -> Iterator[Danger]:
    """What code that knows the schema `old` had `before` a migration, and misses `after` it."""
    for relation in old.relations.values():
        if relation.kind not in _TABLES or before.named(relation.schema, relation.name) is None:
            continue
        if mapped is not None and not mapped.has_table(relation.name):
            continue
        now = after.named(relation.schema, relation.name)
        then = before.named(relation.schema, relation.name)
        assert then is not None
        if now is None:
            yield _gone(revision, relation, after)
        elif now != then:
            yield from _changed(revision, relation, then, now, mapped)
    for kind, name, of in sorted((old.others & before.others) - after.others):
        subject = f"{of}.{name}" if kind == "value" else name
        rule = "enum_renamed" if kind == "value" else "drop_function"
        detail = f"the {kind} {subject} is gone, and the running code may use it"
        yield Danger(revision, rule, INCOMPATIBLE, subject, detail, RULES["enum_renamed"][2])


def _gone(revision: str, relation: Relation, after: Schema) -> Danger:
    renamed = after.relations.get(relation.oid)
    kind = "view" if relation.kind in ("v", "m") else "table"
    rule = f"drop_{kind}" if renamed is None else "rename_table"
    words = {"table": relation.name, "column": renamed.name if renamed else ""}
    return of_rule(revision, rule, relation.name, words)


def _changed(
    revision: str, old: Relation, then: Relation, now: Relation, mapped: Mapped | None
) -> Iterator[Danger]:
    def of(rule: str, column: str) -> Danger:
        words = {"table": old.name, "column": column}
        return of_rule(revision, rule, f"{old.name}.{column}", words)

    if now.kind == "v" and old.kind in ("r", "p") and not now.updatable:
        yield of("rename_table", now.name)
    if now.row_security and not then.row_security:
        yield of("row_security", "")
    for name, column in old.columns.items():
        if name not in then.columns or (mapped and not mapped.has_column(old.name, name)):
            continue
        writes = mapped is not None and mapped.always_writes(old.name, name)
        if name not in now.columns:
            yield of("drop_column", name)
        elif now.kind != "v":
            proven = name in then.never_null or writes
            rule = _narrowed(column, then, now, name, proven=proven, writes=writes)
            if rule:
                yield of(rule, name)
    if now.kind != "v":
        yield from (of("add_column", name) for name in _required(old, then, now))


def _narrowed(
    column: Column, then: Relation, now: Relation, name: str, *, proven: bool, writes: bool
) -> str:
    before, after = then.columns[name], now.columns[name]
    if not _reads_alike(before, after, now.file == then.file):
        return "change_type"
    if after.not_null and not before.not_null and not proven:
        return "set_not_null"
    lost = before.given and not after.given and after.not_null and not writes
    return "drop_default" if lost else ""


def _reads_alike(before: Column, after: Column, same_file: bool) -> bool:
    if before.type == after.type:
        return before.modifier == after.modifier or same_file
    return same_file and {before.type, after.type} <= _TEXTS


def _required(old: Relation, then: Relation, now: Relation) -> list[str]:
    """Columns that code which does not know them cannot leave out any more."""
    return [
        name
        for name, column in now.columns.items()
        if name not in old.columns
        and column.not_null
        and not column.given
        and not (name in then.columns and then.columns[name].not_null)
    ]
