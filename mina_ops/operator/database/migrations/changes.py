"""Migrations as a list of changes, whether they call Alembic's operations or hold raw SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from alembic.operations import ops
from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Numeric, String
from sqlalchemy.types import TypeEngine

from mina_ops.operator.database.migrations.change import Change
from mina_ops.operator.database.migrations.render import Rendered
from mina_ops.operator.database.migrations.statements import VOLATILE, of_sql

_CONSTRAINTS: dict[type, str] = {
    ops.CreateForeignKeyOp: "add_foreign_key",
    ops.CreateCheckConstraintOp: "add_check",
    ops.CreateUniqueConstraintOp: "add_unique",
    ops.CreatePrimaryKeyOp: "add_unique",
}
_HARMLESS = (ops.CreateTableCommentOp, ops.DropTableCommentOp, ops.BulkInsertOp)


def changes(rendered: Rendered) -> list[Change]:
    """The changes of one migration, in order; `unknown` where an operation is not recognised."""
    return [
        replace(change, outside=outside)
        for operation, outside in rendered.operations
        for change in _of(operation)
    ]


def _of(operation: ops.MigrateOperation) -> Iterator[Change]:
    if isinstance(operation, ops.ExecuteSQLOp):
        yield from of_sql(str(operation.sqltext))
    elif isinstance(operation, ops.AlterColumnOp):
        yield from _altered(operation)
    elif isinstance(operation, ops.CreateTableOp | ops.DropTableOp | ops.RenameTableOp):
        yield from _table(operation)
    elif isinstance(operation, ops.DropColumnOp):
        yield Change("drop_column", operation.table_name, operation.column_name)
    elif isinstance(operation, ops.AddColumnOp):
        yield from _added(operation.table_name, operation.column)
    elif isinstance(operation, ops.CreateIndexOp | ops.DropIndexOp):
        yield _index(operation)
    elif isinstance(operation, ops.AddConstraintOp):
        yield _constraint(operation)
    elif isinstance(operation, ops.DropConstraintOp):
        yield Change("drop_constraint", operation.table_name, str(operation.constraint_name))
    elif not isinstance(operation, _HARMLESS):
        yield Change("unknown", "", type(operation).__name__)


def _table(operation: ops.CreateTableOp | ops.DropTableOp | ops.RenameTableOp) -> Iterator[Change]:
    name = operation.table_name
    if isinstance(operation, ops.RenameTableOp):
        yield Change("rename_table", name, operation.new_table_name)
    elif isinstance(operation, ops.DropTableOp):
        yield Change("drop_table", name)
    else:
        yield Change("create_table", name)
        for key in _keys(operation):
            yield Change("reference", key.target_fullname.split(".")[-2], name)


def _keys(operation: ops.CreateTableOp) -> Iterator[ForeignKey]:
    for item in operation.columns:
        if isinstance(item, Column):
            yield from item.foreign_keys
        elif isinstance(item, ForeignKeyConstraint):
            yield from item.elements


def _added(table: str, column: Column[Any]) -> Iterator[Change]:
    given = column.nullable or column.server_default is not None
    yield Change("add_column", table, column.name, safe=bool(given))
    default = str(getattr(column.server_default, "arg", ""))
    stored = column.computed is not None and column.computed.persisted is not False
    if stored or column.identity is not None or re.search(VOLATILE, default, re.I):
        yield Change("rewrite", table, column.name)
    # Alembic makes statements of their own of these, which look at every row.
    if column.foreign_keys:
        yield Change("add_foreign_key", table, column.name)
    if column.unique and not column.index:
        yield Change("add_unique", table, column.name)
    if column.index:
        yield Change("create_index", table, f"ix_{table}_{column.name}")
    if any(isinstance(constraint, CheckConstraint) for constraint in column.constraints):
        yield Change("add_check", table, column.name)


def _altered(operation: ops.AlterColumnOp) -> Iterator[Change]:
    table, column = operation.table_name, operation.column_name
    if operation.modify_name:
        yield Change("rename_column", table, column)
    if operation.modify_type is not None:
        wider = _is_wider(operation.existing_type, operation.modify_type)
        yield Change("change_type", table, column, safe=wider)
    if operation.modify_nullable is False:
        yield Change("set_not_null", table, column)
    if operation.modify_server_default is None:
        yield Change("drop_default", table, column)


def _is_wider(old: Any, new: TypeEngine[Any] | type[TypeEngine[Any]]) -> bool:
    new = new() if isinstance(new, type) else new
    if isinstance(old, String) and isinstance(new, String):
        return _wider_text(old, new)
    if type(old) is type(new) and isinstance(old, Numeric) and isinstance(new, Numeric):
        return old.scale == new.scale and (new.precision or 0) >= (old.precision or 0)
    return False


def _wider_text(old: String, new: String) -> bool:
    # Enum is a String to SQLAlchemy and a type of its own to PostgreSQL.
    if "enum" in (old.__visit_name__ + new.__visit_name__).lower():
        return False
    return new.length is None or (old.length is not None and new.length >= old.length)


def _index(operation: ops.CreateIndexOp | ops.DropIndexOp) -> Change:
    concurrent = bool(operation.kw.get("postgresql_concurrently"))
    kind = "create_index" if isinstance(operation, ops.CreateIndexOp) else "drop_index"
    return Change(
        kind, operation.table_name or "", str(operation.index_name or ""), safe=concurrent
    )


def _constraint(operation: ops.AddConstraintOp) -> Change:
    exclude = "Exclude" in type(operation).__name__
    kind = _CONSTRAINTS.get(type(operation), "add_exclude" if exclude else "add_check")
    table = getattr(operation, "source_table", None) or getattr(operation, "table_name", "")
    name = str(getattr(operation, "constraint_name", "") or "")
    options = getattr(operation, "kw", {})
    return Change(kind, str(table), name, safe=bool(options.get("postgresql_not_valid")))
