"""How many rows each table holds, and a fingerprint of all of them that ignores their order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from mina_ops.operator.database.connection.queries import quoted, rows, run
from mina_ops.operator.database.connection.sealed import sealed

# Tables of the user's own; those of an extension are recreated by it. The parent of partitions
# holds nothing itself.
_TABLES = sealed("""
SELECT (quote_ident(n.nspname) || '.') || quote_ident(c.relname) AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE ((c.relkind = 'r') AND (c.relpersistence <> 't'))
  AND ((n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema']))
  AND (NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE (d.classid = 'pg_class'::regclass)
                  AND ((d.objid = c.oid) AND (d.deptype = 'e')))))
ORDER BY 1
""")
# A row as the text that its columns' types write, never by a cast that somebody made.
_FINGERPRINT = sealed(
    "SELECT count(*) AS n,"
    " coalesce(sum(hashtextextended(textin(record_out(t.*)), 0::int8)), 0)::text AS hash"
)
_NUMBER = sealed("SELECT count(*) AS n")
# A row's text depends on these; a dump and its restore must read alike. And rows that a policy
# hides would go missing without a word: an error is better.
_READ_ALIKE = (
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL row_security = off",
)


@dataclass(frozen=True)
class Count:
    """A table's rows; `fingerprint` is None where only the number was asked for."""

    rows: int
    fingerprint: str | None = None


def tables(connection: Connection) -> list[str]:
    """The tables of a database, quoted and with their schema, in the order of their names."""
    if connection.dialect.name == "sqlite":
        found = rows(
            connection,
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
            " ESCAPE '\\' ORDER BY name",
        )
        return [quoted(row.name) for row in found]
    return [row.name for row in rows(connection, _TABLES)]


def take(connection: Connection, *, fingerprints: bool = True) -> dict[str, Count]:
    """The count of every table, in the snapshot of the connection's transaction."""
    if connection.dialect.name != "sqlite":
        for statement in _READ_ALIKE:
            run(connection, statement)
    return {name: count(connection, name, fingerprint=fingerprints) for name in tables(connection)}


def count(connection: Connection, table: str, *, fingerprint: bool = True) -> Count:
    """The count of one table, named as `tables` does."""
    if connection.dialect.name == "sqlite":
        return _sqlite_count(connection, table, fingerprint=fingerprint)
    if not fingerprint:
        return Count(rows(connection, f"{_NUMBER} FROM {table}")[0].n)
    found = rows(connection, f"{_FINGERPRINT} FROM {table} AS t")[0]
    return Count(found.n, found.hash)


def differences(expected: Mapping[str, Count], found: Mapping[str, Count]) -> dict[str, str]:
    """Table -> a sentence, for each table that is missing, new, or holds other rows."""
    said = {name: f"{name} is missing" for name in expected.keys() - found.keys()}
    said |= {name: f"{name} is new" for name in found.keys() - expected.keys()}
    for name in expected.keys() & found.keys():
        before, after = expected[name], found[name]
        if before.rows != after.rows:
            said[name] = f"{name} has {after.rows} rows instead of {before.rows}"
        elif None not in (before.fingerprint, after.fingerprint) and before != after:
            said[name] = f"{name} has {after.rows} rows, and some of them differ"
    return dict(sorted(said.items()))


def _sqlite_count(connection: Connection, table: str, *, fingerprint: bool) -> Count:
    if not fingerprint:
        return Count(rows(connection, f"SELECT count(*) AS n FROM {table}")[0].n)  # noqa: S608
    total, number = 0, 0
    for row in connection.exec_driver_sql(f"SELECT * FROM {table}"):  # noqa: S608
        digest = hashlib.blake2b(
            repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=8
        ).digest()
        total = (total + int.from_bytes(digest)) % 2**64
        number += 1
    return Count(number, str(total))
