"""Runs statements, returns their rows, and quotes names and texts for SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

_AS_IT_STANDS = {"no_parameters": True}


def rows(connection: Connection, sql: str, **values: Any) -> list[Any]:
    """The rows of a query; `:name` stands for a value.

    Without values the statement reaches the server as it stands, so that names of tables in it
    may hold colons and percent signs.
    """
    if values:
        return list(connection.execute(text(sql), values))
    return list(connection.exec_driver_sql(sql, execution_options=_AS_IT_STANDS))


def run(connection: Connection, sql: str) -> None:
    """Run a statement as it stands; what it returns is not read."""
    connection.exec_driver_sql(sql, execution_options=_AS_IT_STANDS)


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever it is made of."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def literal(value: str) -> str:
    """A text as SQL writes it."""
    doubled = value.replace("'", "''")
    return f"'{doubled}'" if "\\" not in value else "E'" + doubled.replace("\\", "\\\\") + "'"
