"""Finds the table that a person named, without use of any search path."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.connection.queries import quoted, rows
from mina_ops.operator.database.connection.sealed import sealed

_PART = r'(?:"((?:[^"]|"")+)"|([^".\s]+))'
_NAME = re.compile(rf"\s*(?:{_PART}\.)?{_PART}\s*")
_TABLES = sealed("""
SELECT c.oid, n.nspname AS schema, c.relname AS bare
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (c.relkind = ANY (ARRAY['r'::"char", 'p'::"char"]))
  AND (c.relname = CAST(:bare AS pg_catalog.name))
  AND ((n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema']))
  AND (c.relpersistence <> 't'))
ORDER BY 2
""")


@dataclass(frozen=True)
class TableName:
    """A table that is there: its oid and its parts, unquoted."""

    oid: int
    schema: str
    bare: str

    @property
    def sql(self) -> str:
        """Its name with the schema, quoted."""
        return f"{quoted(self.schema)}.{quoted(self.bare)}"

    @property
    def plain(self) -> str:
        """Its name for a reader, and as `quote_ident` would write it."""
        return f"{_as_little_quoted(self.schema)}.{_as_little_quoted(self.bare)}"


def parts(name: str) -> tuple[str | None, str]:
    """Schema (or None) and bare name of a table as SQL reads them: lower case unless quoted.

    Raises:
        ConfigurationError: it is no name of a table.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ConfigurationError(f'{name!r} is no name of a table; write schema.table or "Table".')
    schema = _part(match[1], match[2]) if match[1] or match[2] else None
    return schema, _part(match[3], match[4])


def table(connection: Connection, name: str, where: str) -> TableName:
    """The table of that name.

    Args:
        where: the database's name, for the message.

    Raises:
        ConfigurationError: there is none, or there are several and no schema was given.
    """
    schema, bare = parts(name)
    fitting = [one for one in tables(connection, bare) if schema in (None, one.schema)]
    if not fitting:
        raise ConfigurationError(f"There is no table {name} in {where}.")
    if len(fitting) > 1:
        several = ", ".join(one.plain for one in fitting)
        raise ConfigurationError(f"There are several tables {name} in {where}: {several}.")
    return fitting[0]


def tables(connection: Connection, bare: str) -> list[TableName]:
    """All tables of a bare name, in whatever schema."""
    return [TableName(*row) for row in rows(connection, _TABLES, bare=bare)]


def _part(in_quotes: str | None, bare: str | None) -> str:
    return in_quotes.replace('""', '"') if in_quotes else str(bare).lower()


def _as_little_quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else quoted(name)
