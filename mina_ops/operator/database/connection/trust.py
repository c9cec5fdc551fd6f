"""Whose code a command would run with the operator's rights.

Some statements evaluate expressions that others wrote: loading rows, or asking whether rows keep
a CHECK, calls the functions in CHECKs, domains, generated columns and partition keys. If a lesser
role wrote one of them, it would act with the operator's rights. A role is trusted if it is a
superuser or the operator itself. PostgreSQL's own functions are safe, whoever calls them, if they
only compute; `lo_export` does not, and a CHECK may call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mina_ops.operator.database.connection.errors import Refused
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed

# Each expression with who wrote it. It is stored as a tree that names functions by their oids.
_LOADED = """
  SELECT 'check' AS kind, con.oid, (('the check ' || quote_ident(con.conname)) || ' of ')
      || ((quote_ident(n.nspname) || '.') || quote_ident(c.relname)) AS what,
    c.relowner AS author, con.conbin AS tree, con.conrelid AS relation
  FROM pg_constraint AS con JOIN pg_class AS c ON c.oid = con.conrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE (con.contype = 'c') AND (n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema']))
UNION ALL
  SELECT 'domain', con.oid, 'a check of the domain ' || quote_ident(t.typname), t.typowner,
    con.conbin, coalesce(a.attrelid, '0'::oid)
  FROM pg_constraint AS con JOIN pg_type AS t ON t.oid = con.contypid
  JOIN pg_namespace AS n ON n.oid = t.typnamespace
  LEFT JOIN pg_attribute AS a ON a.atttypid = ANY (ARRAY[t.oid, t.typarray])
  WHERE (con.contype = 'c') AND (n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema']))
UNION ALL
  SELECT 'generated', d.oid, (('the generated column ' || quote_ident(a.attname)) || ' of ')
    || quote_ident(c.relname), c.relowner, d.adbin, d.adrelid
  FROM pg_attrdef AS d JOIN pg_class AS c ON c.oid = d.adrelid
  JOIN pg_attribute AS a ON (a.attrelid = d.adrelid) AND (a.attnum = d.adnum)
  WHERE a.attgenerated <> ''
UNION ALL
  SELECT 'partition key', c.oid, 'the partition key of ' || quote_ident(c.relname), c.relowner,
    k.partexprs, k.partrelid
  FROM pg_partitioned_table AS k JOIN pg_class AS c ON c.oid = k.partrelid
"""
_INDEXES = """
  SELECT 'index' AS kind, i.indexrelid AS oid, 'the index ' || quote_ident(c.relname) AS what,
    c.relowner AS author, part.tree, i.indrelid AS relation
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (VALUES (i.indexprs), (i.indpred)) AS part(tree)
  WHERE n.nspname <> 'pg_catalog'
"""
_DEFAULTS = """
UNION ALL
  SELECT 'default', d.oid, (('the default of ' || quote_ident(a.attname)) || ' of ')
    || quote_ident(c.relname), c.relowner, d.adbin, d.adrelid
  FROM pg_attrdef AS d JOIN pg_class AS c ON c.oid = d.adrelid
  JOIN pg_attribute AS a ON (a.attrelid = d.adrelid) AND (a.attnum = d.adnum)
  WHERE a.attgenerated = ''
"""
# What defaults call in every other schema: volatile, and yet they do nothing but answer.
_HARMLESS = (
    "'nextval', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'uuid_generate_v4', 'random',"
    " 'clock_timestamp'"
)
# An extension's functions are as its maker shipped them, as PostgreSQL's own are.
_UNSAFE = """
WITH expressions AS ({expressions}),
calls AS (
  SELECT e.kind, e.oid, e.what, e.relation, e.author, p.proowner AS maker,
    (p.proname !~ 'xml') AND ((p.provolatile <> 'v') OR (p.proname = ANY (ARRAY[{harmless}])))
      AS computes,
    (p.oid < '16384'::oid) OR (EXISTS (
      SELECT 1 FROM pg_depend AS d WHERE (d.classid = 'pg_proc'::regclass)
        AND ((d.objid = p.oid) AND (d.deptype = 'e')))) AS shipped
  FROM expressions AS e
  CROSS JOIN LATERAL regexp_matches(e.tree::text, ':(?:op)?funcid (\\d+)', 'g') AS m(found)
  JOIN pg_proc AS p ON p.oid = ((m.found)[1]::oid)
UNION ALL
  SELECT e.kind, e.oid, e.what, e.relation, e.author, t.typowner, false, false
  FROM expressions AS e
  CROSS JOIN LATERAL regexp_matches(e.tree::text, 'COERCETODOMAIN .*?:resulttype (\\d+)', 'g')
    AS m(found)
  JOIN pg_type AS t ON t.oid = ((m.found)[1]::oid)
)
SELECT c.kind, c.oid, c.what, c.relation, r.rolname AS owner
FROM calls AS c JOIN pg_roles AS r
  ON (r.oid = c.author) OR ((r.oid = c.maker) AND (NOT c.shipped))
WHERE (NOT (c.computes AND c.shipped))
GROUP BY 1, 2, 3, 4, 5 ORDER BY 3, 5
"""
_UNSAFE = _UNSAFE.replace("{harmless}", _HARMLESS)
_LOAD_CODE = sealed(_UNSAFE.format(expressions=_LOADED))
_WRITE_CODE = sealed(_UNSAFE.format(expressions=f"{_LOADED} UNION ALL {_INDEXES} {_DEFAULTS}"))
_INDEX_CODE = sealed(_UNSAFE.format(expressions=_INDEXES))
_FAMILY = sealed("""
SELECT p.relid::oid AS oid FROM pg_partition_tree(CAST(:oid AS pg_catalog.oid)) AS p
""")
_TRUSTED = sealed(
    "SELECT r.rolname FROM pg_roles AS r WHERE r.rolsuper OR (r.rolname = current_user)"
)
_TRIGGERS = sealed("""
SELECT quote_ident(e.evtname) AS name, r.rolname AS owner
FROM pg_event_trigger AS e JOIN pg_proc AS p ON p.oid = e.evtfoid
JOIN pg_roles AS r ON r.oid = p.proowner
WHERE (e.evtenabled <> 'D') AND (NOT (r.rolsuper OR (r.rolname = current_user)))
ORDER BY 1
""")
_FUNCTIONS = sealed("""
SELECT 'the function ' || p.proname::text AS what, r.rolname AS owner
FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
WHERE (p.oid >= '16384'::oid) AND (NOT EXISTS (SELECT 1 FROM pg_depend AS d
  WHERE (d.classid = 'pg_proc'::regclass) AND ((d.objid = p.oid) AND (d.deptype = 'e'))))
ORDER BY 1
""")
_SCHEMAS = sealed("""
SELECT n.nspname FROM pg_namespace AS n
WHERE (n.oid >= '16384'::oid) OR (n.nspname = 'public') ORDER BY n.nspname <> 'public', 1
""")
_IS_SUPERUSER = sealed("SELECT r.rolsuper AS yes FROM pg_roles AS r WHERE r.rolname = current_user")


@dataclass(frozen=True)
class Code:
    """An expression that calls more than functions which only compute, and a role behind it."""

    what: str
    owner: str

    def __str__(self) -> str:
        return f"{self.what} runs code of {self.owner}"


def load_code(connection: Connection) -> list[Code]:
    """All such expressions that loading rows evaluates, with each role behind them."""
    if connection.dialect.name == "sqlite":
        return []
    found = {Code(row.what, row.owner): None for row in rows(connection, _LOAD_CODE)}
    return list(found)


def written_code(connection: Connection, table: int) -> list[Code]:
    """Such expressions that writing to a table or its partitions evaluates."""
    family = {row.oid for row in rows(connection, _FAMILY, oid=str(table))} | {table, 0}
    found = rows(connection, _WRITE_CODE)
    return [Code(row.what, row.owner) for row in found if row.relation in family]


def functions(connection: Connection) -> list[Code]:
    """All functions but those of extensions, each with its owner."""
    return [Code(row.what, row.owner) for row in rows(connection, _FUNCTIONS)]


def schemas(connection: Connection) -> list[str]:
    """The schemas that are no system's, `public` first: where the app's own code may look."""
    return [row.nspname for row in rows(connection, _SCHEMAS)]


def untrusted(connection: Connection, code: Sequence[Code]) -> list[Code]:
    """Those of them that a role wrote which this connection's role does not trust."""
    trusted = {row.rolname for row in rows(connection, _TRUSTED)} if code else set()
    return [item for item in code if item.owner not in trusted]


def unsafe_expressions(connection: Connection) -> dict[int, Code]:
    """Untrusted CHECKs and indexes of this database by their oids."""
    trusted = {row.rolname for row in rows(connection, _TRUSTED)}
    found = [*rows(connection, _LOAD_CODE), *rows(connection, _INDEX_CODE)]
    return {row.oid: Code(row.what, row.owner) for row in found if row.owner not in trusted}


def refuse_event_triggers(connection: Connection) -> None:
    """Stop before a statement that changes the schema or rights would run a lesser role's code.

    Raises:
        Refused: an event trigger calls a function of such a role.
    """
    if connection.dialect.name == "sqlite":
        return
    found = rows(connection, _TRIGGERS)
    if found:
        raise Refused(
            f"The event trigger {found[0].name} would run a function of {found[0].owner} with "
            "your rights. Give the function to a superuser, disable the trigger, or use the URL "
            f"of {found[0].owner}."
        )


def is_superuser(connection: Connection) -> bool:
    """Whether this connection's role is a superuser."""
    if connection.dialect.name == "sqlite":
        return False
    found = rows(connection, _IS_SUPERUSER)
    return bool(found and found[0].yes)
