"""COPY through whichever driver is installed, between a database and a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

_BLOCK_BYTES = 1 << 18


def out(connection: Connection, statement: str, file: Path) -> None:
    """Write what a `COPY ... TO STDOUT` gives into a file."""
    cursor = _cursor(connection)
    with file.open("wb") as into:
        if hasattr(cursor, "copy"):
            with cursor.copy(statement.encode()) as copy:
                for block in copy:
                    into.write(block)
        else:
            cursor.copy_expert(statement, into)


def into(connection: Connection, statement: str, file: Path) -> None:
    """Give a file to a `COPY ... FROM STDIN`, in the connection's transaction."""
    cursor = _cursor(connection)
    with file.open("rb") as source:
        if hasattr(cursor, "copy"):
            with cursor.copy(statement.encode()) as copy:
                while block := source.read(_BLOCK_BYTES):
                    copy.write(block)
        else:
            cursor.copy_expert(statement, source)


def _cursor(connection: Connection) -> Any:
    return connection.connection.cursor()
