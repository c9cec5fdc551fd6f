"""Count the rows of a table that a condition selects, and show a few of them."""

from __future__ import annotations

from sqlalchemy import Connection

from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.integrity.findings import Finding

RESTORE = "Restore the table from a backup: mina-ops db restore FILE --table NAME."
_SAMPLE = 5


def affected(
    connection: Connection, check: str, source: str, where: str, what: str, shown: str = ""
) -> list[Finding]:
    """One finding about the rows that `where` selects; [] if there are none.

    Args:
        check: the name of the check that asks.
        source: the table as SQL names it; with ONLY before it, rows of tables that inherit from
            it do not count.
        where: a condition on the row `t`, each function and operator in it with its schema.
        what: what is wrong with these rows, as the end of a sentence.
        shown: columns to show of a few rows. Whole rows would put people's data into a terminal.
    """
    chosen = f"FROM {source} AS t WHERE {where}"
    number = rows(connection, f"SELECT pg_catalog.count(*) AS n {chosen}")[0].n
    if not number:
        return []
    table = source.removeprefix("ONLY ")
    sample: tuple[str, ...] = ()
    if shown:
        found = rows(
            connection,
            f"SELECT DISTINCT pg_catalog.concat_ws(', ', {shown}) AS row {chosen} LIMIT {_SAMPLE}",
        )
        sample = tuple(f"{shown}={row.row}" for row in found)
    return [
        Finding(check, table, f"{table}: {what}", RESTORE, rows=number, sample=sample, where=where)
    ]
