"""Reads a schema as it is at one moment, as far as running code depends on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mina_ops.operator.database.connection.sealed import sealed

_OWN = """(n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema']))
  AND (n.nspname !~ '^pg_(toast|temp)')"""
_RELATIONS = sealed(
    f"""
SELECT c.oid, n.nspname, c.relname, c.relkind::text, coalesce(pg_relation_filenode(c.oid), 0),
  c.relrowsecurity,
  coalesce((SELECT i.indrelid FROM pg_index AS i WHERE (i.indexrelid = c.oid)), c.oid),
  pg_relation_is_updatable(c.oid, true)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE ({_OWN}) AND (c.relkind <> ALL (ARRAY['t'::"char", 'c'::"char"]))
"""  # noqa: S608
)
_COLUMNS = sealed(
    f"""
SELECT a.attrelid, a.attname, t.typname, a.atttypmod, t.typcategory::text, a.attnotnull,
  (a.atthasdef OR (a.attidentity <> '')) OR (a.attgenerated <> '')
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_type AS t ON t.oid = a.atttypid
WHERE ({_OWN}) AND ((a.attnum > 0) AND (NOT a.attisdropped))
"""  # noqa: S608
)
_NEVER_NULL = sealed("""
SELECT con.conrelid, a.attname FROM pg_constraint AS con
JOIN pg_attribute AS a ON (a.attrelid = con.conrelid) AND (a.attnum = ANY (con.conkey))
WHERE (con.contype = 'c') AND (con.convalidated
  AND (pg_get_constraintdef(con.oid)
    = (('CHECK ((' || quote_ident(a.attname)) || ' IS NOT NULL))')))
""")
_OTHERS = sealed("""
SELECT 'value', e.enumlabel::text, t.typname::text FROM pg_enum AS e
  JOIN pg_type AS t ON t.oid = e.enumtypid
UNION ALL
SELECT 'function', p.proname::text, pg_get_function_identity_arguments(p.oid) FROM pg_proc AS p
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
  WHERE (n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema']))
    AND ((NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE (d.objid = p.oid) AND (d.deptype = 'e')))
    AND (p.prorettype <> ('trigger'::regtype::oid)))
""")

# The bits of INSERT, UPDATE and DELETE in what pg_relation_is_updatable says.
_ALL_WRITES = 8 | 4 | 16
_PARTS = ("oid", "schema", "name", "kind", "file", "row_security", "table")
Ask = Callable[[str], list[Any]]


@dataclass(frozen=True)
class Column:
    """A column of a table or view.

    Attributes:
        modifier: PostgreSQL's `atttypmod`, such as the length of a varchar; -1: none.
        category: PostgreSQL's `typcategory`, such as "S" for texts.
        given: whether it gets a value where an insert leaves it out.
    """

    type: str
    modifier: int
    category: str
    not_null: bool
    given: bool


@dataclass(frozen=True)
class Relation:
    """A table, view or index.

    Attributes:
        kind: PostgreSQL's `relkind`: r table, p partitioned table, v view, m materialized view,
            f foreign table, i index.
        file: the number of the file that holds its rows; another one after a rewrite, 0: none.
        table: the oid of an index's table, else its own.
        updatable: whether INSERT, UPDATE and DELETE work on it, as on a table or a simple view.
        never_null: columns that a validated CHECK (... IS NOT NULL) guards.
    """

    oid: int
    schema: str
    name: str
    kind: str
    file: int
    row_security: bool
    table: int
    updatable: bool
    columns: Mapping[str, Column] = field(default_factory=dict)
    never_null: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Schema:
    """All of a schema at one moment.

    Attributes:
        relations: by oid, which stays when a relation is renamed.
        others: ("value", label, type) of each value of an enum, and ("function", name, arguments).
    """

    relations: Mapping[int, Relation]
    others: frozenset[tuple[str, str, str]] = frozenset()

    def named(self, schema: str, name: str) -> Relation | None:
        """The relation of a name."""
        return next(
            (one for one in self.relations.values() if (one.schema, one.name) == (schema, name)),
            None,
        )


def read(ask: Ask) -> Schema:
    """The schema as a session sees it, changes of its open transaction included.

    Args:
        ask: returns the rows of a statement that is run in that session.
    """
    columns: dict[int, dict[str, Column]] = {}
    for relation, name, kind, modifier, category, not_null, given in ask(_COLUMNS):
        column = Column(kind, modifier, category, not_null, given)
        columns.setdefault(relation, {})[name] = column
    never: dict[int, set[str]] = {}
    for relation, name in ask(_NEVER_NULL):
        never.setdefault(relation, set()).add(name)
    relations = {
        row[0]: Relation(
            **dict(zip(_PARTS, row[:7], strict=True)),
            updatable=row[7] & _ALL_WRITES == _ALL_WRITES,
            columns=columns.get(row[0], {}),
            never_null=frozenset(never.get(row[0], ())),
        )
        for row in ask(_RELATIONS)
    }
    return Schema(relations, frozenset((a, b, c) for a, b, c in ask(_OTHERS)))
