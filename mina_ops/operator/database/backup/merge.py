"""Rows from a file merged into a table: staged, written, checked, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from mina_ops.operator.database.backup import copying
from mina_ops.operator.database.connection import catalogue
from mina_ops.operator.database.connection.errors import RestoreFailed
from mina_ops.operator.database.connection.names import TableName
from mina_ops.operator.database.connection.queries import literal, rows, run
from mina_ops.operator.database.connection.sealed import sealed

_STAGED = "pg_temp.mina_restored_rows"
_COLUMNS = sealed("""
SELECT quote_ident(a.attname) AS name, a.attidentity = 'a' AS always,
  a.attgenerated <> '' AS generated
FROM pg_attribute AS a
WHERE (a.attrelid = CAST(:oid AS pg_catalog.oid))
  AND ((a.attnum > 0) AND (NOT a.attisdropped))
ORDER BY a.attnum
""")
# Each column of the primary key with the operator that its index calls equal.
_KEYS = sealed("""
SELECT quote_ident(a.attname) AS name,
  (('OPERATOR(' || quote_ident(n.nspname)) || '.') || (o.oprname || ')') AS equals
FROM pg_index AS i
CROSS JOIN LATERAL ROWS FROM (unnest(i.indkey::int2[]), unnest(i.indclass::oid[]))
  WITH ORDINALITY AS k(number, class, position)
JOIN pg_attribute AS a ON (a.attrelid = i.indrelid) AND (a.attnum = k.number)
JOIN pg_opclass AS c ON c.oid = k.class
JOIN pg_amop AS m ON ((m.amopfamily = c.opcfamily) AND (m.amopstrategy = 3))
  AND ((m.amoplefttype = c.opcintype) AND (m.amoprighttype = c.opcintype))
JOIN pg_operator AS o ON o.oid = m.amopopr JOIN pg_namespace AS n ON n.oid = o.oprnamespace
WHERE (i.indrelid = CAST(:oid AS pg_catalog.oid)) AND i.indisprimary
ORDER BY k.position
""")
_KIND = sealed("""
SELECT c.relkind = 'p' AS partitioned,
  EXISTS (SELECT 1 FROM pg_index AS i WHERE (i.indrelid = c.oid) AND ((NOT i.indisprimary)
    AND (i.indimmediate AND (i.indisunique OR i.indisexclusion)))) AS exclusive,
  EXISTS (SELECT 1 FROM pg_constraint AS f WHERE (f.confrelid = c.oid)
    AND ((f.contype = 'f') AND (f.confdeltype <> 'a'))) AS followed
FROM pg_class AS c
WHERE c.oid = CAST(:oid AS pg_catalog.oid)
""")
# Of the table and of its partitions; a rule may write rows elsewhere as a trigger may.
_SWITCHES = sealed("""
SELECT (quote_ident(n.nspname) || '.') || quote_ident(c.relname) AS table, s.kind,
  quote_ident(s.name) AS name, s.enabled::text AS enabled
FROM (
  SELECT t.tgrelid AS relation, 'TRIGGER' AS kind, t.tgname AS name, t.tgenabled AS enabled
    FROM pg_trigger AS t WHERE NOT t.tgisinternal
  UNION ALL
  SELECT r.ev_class, 'RULE', r.rulename, r.ev_enabled FROM pg_rewrite AS r WHERE r.ev_type <> '1'
) AS s
JOIN pg_class AS c ON c.oid = s.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (s.enabled <> 'D') AND ((c.oid = CAST(:oid AS pg_catalog.oid)) OR (c.oid = ANY (ARRAY(
  SELECT p.relid::oid FROM pg_partition_tree(CAST(:oid AS pg_catalog.oid)) AS p))))
ORDER BY 1, 2, 3
""")
_ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


@dataclass(frozen=True)
class Shape:
    """A table as rows are written to it; names are as SQL writes them.

    Attributes:
        columns: those that take values, so not the generated ones.
        generated: those that are computed from others.
        always: identity columns that no UPDATE may set.
        keys: each column of the primary key, with its operator for equality.
        replaced: whether a row that differs is deleted and inserted anew in one statement. An
            UPDATE would fail where two rows have swapped a value that only one may hold: it is
            checked after each row.
    """

    oid: int
    sql: str
    columns: Sequence[str]
    generated: Sequence[str]
    always: Sequence[str]
    keys: Sequence[tuple[str, str]]
    partitioned: bool
    replaced: bool

    def staged(self, columns: Sequence[str]) -> list[str]:
        """What a file must hold to bring back `columns`: with them, the key by which rows match."""
        return [*columns, *(key for key, _ in self.keys if key in self.generated)]


@dataclass(frozen=True)
class Merged:
    """How many rows were written or removed, and remarks."""

    rows: int
    remarks: Sequence[str]


def shape(connection: Connection, table: TableName) -> Shape:
    """The shape of a table."""
    oid = str(table.oid)
    columns = rows(connection, _COLUMNS, oid=oid)
    kind = rows(connection, _KIND, oid=oid)[0]
    return Shape(
        table.oid,
        table.sql,
        [row.name for row in columns if not row.generated],
        [row.name for row in columns if row.generated],
        [row.name for row in columns if row.always],
        [(row.name, row.equals) for row in rows(connection, _KEYS, oid=oid)],
        bool(kind.partitioned),
        # Rows elsewhere that follow a deletion would be deleted, too, or lose their parent.
        bool(kind.exclusive and not kind.followed),
    )


def merge(
    connection: Connection, table: Shape, columns: Sequence[str], file: Path, *, exact: bool
) -> Merged:
    """Bring a table's rows to those of a file that holds `table.staged(columns)`.

    Raises:
        RestoreFailed: rows would point at no row.
    """
    listed = ", ".join(table.staged(columns))
    run(connection, f"LOCK TABLE {table.sql} IN SHARE ROW EXCLUSIVE MODE")
    run(
        connection,
        f"CREATE TEMPORARY TABLE mina_restored_rows ON COMMIT DROP AS "  # noqa: S608
        f"SELECT {listed} FROM {table.sql} WITH NO DATA",
    )
    copying.into(connection, f"COPY {_STAGED} ({listed}) FROM STDIN", file)
    switches = rows(connection, _SWITCHES, oid=str(table.oid))
    for switch in switches:
        run(connection, f"ALTER TABLE {switch.table} DISABLE {switch.kind} {switch.name}")
    number = 0
    for statement in _writing(table, columns, exact=exact):
        number += connection.exec_driver_sql(
            statement, execution_options={"no_parameters": True}
        ).rowcount
    remarks = _advance_sequences(connection, table)
    _require_parents(connection, table)
    for switch in switches:
        state = _ENABLE.get(switch.enabled, "ENABLE")
        run(connection, f"ALTER TABLE {switch.table} {state} {switch.kind} {switch.name}")
    names = sorted({switch.name for switch in switches})
    if names:
        remarks.append(f"triggers and rules of the table did not fire: {', '.join(names)}")
    return Merged(number, remarks)


def _writing(table: Shape, columns: Sequence[str], *, exact: bool) -> list[str]:
    listed = ", ".join(columns)
    insert = (
        f"INSERT INTO {table.sql} ({listed}) OVERRIDING SYSTEM VALUE "  # noqa: S608
        f"SELECT {', '.join(f'o.{column}' for column in columns)} FROM {_STAGED} AS o"
    )
    if not table.keys:
        return [f"DELETE FROM {table.sql}", insert]  # noqa: S608
    same = " AND ".join(f"(o.{key} {equals} t.{key})" for key, equals in table.keys)
    statements = []
    if exact:
        statements.append(
            f"DELETE FROM {table.sql} AS t WHERE NOT EXISTS "  # noqa: S608
            f"(SELECT 1 FROM {_STAGED} AS o WHERE {same})"
        )
    keys = {key for key, _ in table.keys}
    others = [name for name in columns if name not in keys and name not in table.always]
    if others:
        differ = f"{same} AND ({_text('t', others)} OPERATOR(pg_catalog.<>) {_text('o', others)})"
        change = _replacing if table.replaced else _updating
        statements.append(change(table, columns, others, differ))
    statements.append(
        f"{insert} WHERE NOT EXISTS (SELECT 1 FROM {table.sql} AS t WHERE {same})"  # noqa: S608
    )
    return statements


def _updating(table: Shape, columns: Sequence[str], others: Sequence[str], differ: str) -> str:
    return (
        f"UPDATE {table.sql} AS t "  # noqa: S608
        f"SET {', '.join(f'{name} = o.{name}' for name in others)} FROM {_STAGED} AS o "
        f"WHERE {differ}"
    )


def _replacing(table: Shape, columns: Sequence[str], others: Sequence[str], differ: str) -> str:
    # All are deleted before the first is inserted, since the count needs all of them. Foreign keys
    # look at the end of the statement, when the rows are there again.
    kept = [name for name in table.columns if name not in columns]
    both = [f"o.{name}" for name in columns] + [f"t.{name}" for name in kept]
    return (
        f"WITH gone AS (DELETE FROM {table.sql} AS t USING {_STAGED} AS o "  # noqa: S608
        f"WHERE {differ} RETURNING {', '.join(both)}) "
        f"INSERT INTO {table.sql} ({', '.join([*columns, *kept])}) OVERRIDING SYSTEM VALUE "
        f"SELECT g.* FROM gone AS g WHERE (SELECT pg_catalog.count(*) FROM gone) "
        f"OPERATOR(pg_catalog.>) 0"
    )


def _text(row: str, columns: Sequence[str]) -> str:
    """A row as text: json and others have no operator for equality."""
    listed = ", ".join(f"{row}.{column}" for column in columns)
    return f"pg_catalog.textin(pg_catalog.record_out(ROW({listed})))"


def _advance_sequences(connection: Connection, table: Shape) -> list[str]:
    remarks = []
    for sequence in catalogue.sequences(connection):
        if sequence.relation != table.oid:
            continue
        number = catalogue.overtaken(connection, sequence)
        if number is None:
            continue
        run(
            connection,
            f"SELECT pg_catalog.setval({literal(sequence.name)}::pg_catalog.regclass, "
            f"({number})::pg_catalog.int8)",
        )
        remarks.append(f"{sequence.name} goes on behind {number}")
    return remarks


def _require_parents(connection: Connection, table: Shape) -> None:
    for key in catalogue.constraints(connection):
        if key.kind != "f" or key.relation != table.oid or not key.validated:
            continue
        pairs = list(zip(key.columns, key.parent_columns, key.equals, strict=True))
        given = " AND ".join(f"t.{mine} IS NOT NULL" for mine, _, _ in pairs)
        same = " AND ".join(f"(p.{theirs} {equals} t.{mine})" for mine, theirs, equals in pairs)
        lost = rows(
            connection,
            f"SELECT 1 FROM {table.sql} AS t WHERE {given} AND NOT EXISTS "  # noqa: S608
            f"(SELECT 1 FROM {key.parent} AS p WHERE {same}) LIMIT 1",
        )
        if lost:
            raise RestoreFailed(
                f"Rows of {key.table} would point at no row of {key.parent} (by {key.name}). "
                f"Nothing was changed; restore {key.parent} first."
            )
