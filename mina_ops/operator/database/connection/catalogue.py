"""What PostgreSQL's catalogue says about constraints, indexes and sequences, as plain rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed

_OWN = (
    "(n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema'])) AND (n.nspname !~ '^pg_toast')"
)
_NAMED = "(quote_ident(n.nspname) || '.') || quote_ident(c.relname)"

_CONSTRAINTS = sealed(f"""
SELECT con.oid, con.conrelid AS relation, con.conname AS name, con.contype::text AS kind,
  con.convalidated AS validated,
  {_NAMED} AS table, pg_get_constraintdef(con.oid) AS definition,
  pg_get_expr(con.conbin, con.conrelid) AS expression,
  (SELECT (quote_ident(pn.nspname) || '.') || quote_ident(p.relname)
     FROM pg_class AS p JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
    WHERE p.oid = con.confrelid) AS parent,
  (SELECT array_agg(quote_ident(a.attname) ORDER BY k.n)
     FROM unnest(con.conkey) WITH ORDINALITY AS k(number, n)
     JOIN pg_attribute AS a ON (a.attrelid = con.conrelid) AND (a.attnum = k.number)) AS columns,
  (SELECT array_agg(quote_ident(a.attname) ORDER BY k.n)
     FROM unnest(con.confkey) WITH ORDINALITY AS k(number, n)
     JOIN pg_attribute AS a ON (a.attrelid = con.confrelid) AND (a.attnum = k.number))
    AS parent_columns,
  (SELECT array_agg((('OPERATOR(' || quote_ident(os.nspname)) || '.') || (o.oprname || ')')
       ORDER BY k.n)
     FROM unnest(con.conpfeqop) WITH ORDINALITY AS k(number, n)
     JOIN pg_operator AS o ON o.oid = k.number
     JOIN pg_namespace AS os ON os.oid = o.oprnamespace) AS equals
FROM pg_constraint AS con
JOIN pg_class AS c ON c.oid = con.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (con.contype = ANY (ARRAY['f'::"char", 'c'::"char"])) AND (con.conparentid = '0'::oid)
  AND ({_OWN})
ORDER BY 6, 3
""")  # noqa: S608

_INDEXES = sealed(f"""
SELECT i.indexrelid AS oid, ic.relname AS name, {_NAMED} AS table,
  i.indisvalid AND i.indisready AS usable,
  i.indisunique AS is_unique, pg_get_expr(i.indpred, i.indrelid) AS predicate,
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_count,
  (SELECT array_agg(pg_get_indexdef(i.indexrelid, k.k, false) ORDER BY k.k)
     FROM generate_series(1, i.indnkeyatts) AS k(k)) AS keys
FROM pg_index AS i
JOIN pg_class AS ic ON ic.oid = i.indexrelid
JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r') AND ({_OWN})
ORDER BY 3, 2
""")  # noqa: S608

_NOT_NULL = sealed(f"""
SELECT {_NAMED} AS table, array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS columns
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.attnotnull AND (a.attnum > 0) AND (NOT a.attisdropped) AND (c.relkind = 'r') AND ({_OWN})
GROUP BY 1 ORDER BY 1
""")  # noqa: S608

# A sequence belongs to a column if it is owned by it or feeds its default.
_SEQUENCES = sealed(f"""
SELECT DISTINCT {_NAMED} AS table, c.oid AS relation, quote_ident(a.attname) AS column,
  (quote_ident(sn.nspname) || '.') || quote_ident(s.relname) AS name,
  pg_sequence_last_value(s.oid) AS last_value, q.seqincrement AS increment, q.seqstart AS start,
  has_sequence_privilege(s.oid, 'SELECT') AS readable
FROM pg_class AS s JOIN pg_sequence AS q ON q.seqrelid = s.oid
JOIN pg_namespace AS sn ON sn.oid = s.relnamespace
JOIN (
  SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend AS d
   WHERE (d.classid = 'pg_class'::regclass) AND (d.deptype = ANY (ARRAY['a'::"char", 'i'::"char"]))
  UNION
  SELECT d.refobjid, ad.adrelid, ad.adnum FROM pg_depend AS d
    JOIN pg_attrdef AS ad ON (d.classid = 'pg_attrdef'::regclass) AND (d.objid = ad.oid)
) AS owner ON owner.sequence = s.oid
JOIN pg_class AS c ON c.oid = owner.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON (a.attrelid = c.oid) AND (a.attnum = owner.number)
WHERE (s.relkind = 'S') AND (c.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])) AND ({_OWN})
ORDER BY 1, 3
""")  # noqa: S608

_TRIGGERS = sealed(f"""
SELECT {_NAMED} AS table, count(*) AS number,
  count(*) FILTER (WHERE t.tgisinternal) AS of_foreign_keys,
  min(t.tgname::text) FILTER (WHERE NOT t.tgisinternal) AS name
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (t.tgenabled = 'D') AND ({_OWN})
GROUP BY 1 ORDER BY 1
""")  # noqa: S608

_COLUMNS = sealed(f"""
SELECT {_NAMED} AS table, quote_ident(n.nspname) AS schema, c.relname AS bare,
  a.attname AS column, format_type(a.atttypid, NULL) AS type,
  coalesce(a.attnum = ANY (pk.indkey::int2[]), false) AS is_key
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_index AS pk ON (pk.indrelid = c.oid) AND pk.indisprimary
WHERE (c.relkind = 'r') AND (a.attnum > 0) AND (NOT a.attisdropped) AND ({_OWN})
ORDER BY 1, a.attnum
""")  # noqa: S608
_SQLITE_COLUMNS = """
SELECT m.name AS "table", '' AS schema, m.name AS bare, c.name AS "column", c.type,
  c.pk > 0 AS is_key
FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'
"""
_AMCHECK = sealed("SELECT 1 FROM pg_extension AS e WHERE e.extname = 'amcheck'")


def constraints(connection: Connection) -> list[Any]:
    """Foreign keys (kind `f`) and checks (`c`)."""
    return rows(connection, _CONSTRAINTS)


def indexes(connection: Connection) -> list[Any]:
    """Every index: its keys as SQL, whether it is unique and usable."""
    return rows(connection, _INDEXES)


def not_null(connection: Connection) -> list[Any]:
    """The columns of each table that may not be NULL."""
    return rows(connection, _NOT_NULL)


def sequences(connection: Connection) -> list[Any]:
    """The sequences that feed columns, and the last value that each gave out."""
    return rows(connection, _SEQUENCES)


def overtaken(connection: Connection, sequence: Any) -> int | None:
    """The last number that a sequence will give out although the column has it already; or None.

    It is the largest such number of the column; the smallest, if the sequence counts down.
    """
    down = sequence.increment < 0
    # Through text, since a cast to numeric might be somebody's own.
    number = f"t.{sequence.column}::pg_catalog.text::pg_catalog.numeric"
    found = rows(
        connection,
        f"SELECT pg_catalog.{'min' if down else 'max'}({number}) AS n "  # noqa: S608
        f"FROM {sequence.table} AS t",
    )[0].n
    last = sequence.last_value
    at = sequence.start - sequence.increment if last is None else last
    if found is None or (found >= at if down else found <= at):
        return None
    return int(found)


def disabled_triggers(connection: Connection) -> list[Any]:
    """Tables with triggers that are switched off."""
    return rows(connection, _TRIGGERS)


def columns(connection: Connection) -> list[Any]:
    """Every column of every table, with its type and whether it is in the primary key."""
    sqlite = connection.dialect.name == "sqlite"
    return rows(connection, _SQLITE_COLUMNS if sqlite else _COLUMNS)


def has_amcheck(connection: Connection) -> bool:
    """Whether the extension amcheck is installed in this database."""
    return bool(rows(connection, _AMCHECK))
