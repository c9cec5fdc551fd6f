"""What an integrity check is given, what it returns, and how it says that it does not apply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.integrity.findings import Finding

# A table in use may lose rows after a backup was made; that half of them go is no usual day.
SHRUNK = 0.5
_REFERENCE = re.compile(r"\s*([\w.]+)\.(\w+)\s*->\s*([\w.]+)\.(\w+)\s*")


class Skipped(Exception):
    """A check does not apply here, or not to all; the text says why.

    Args:
        found: what it found where it did apply.
    """

    def __init__(self, reason: str, found: Sequence[Finding] = ()) -> None:
        super().__init__(reason)
        self.found = found


@dataclass(frozen=True)
class Expectations:
    """What the checks compare with.

    Attributes:
        tables: counts by table, from a backup's manifest; None: nothing to compare with.
        exact: the counts must match to the row, as in a restored copy.
        references: columns without a foreign key that point at another table.
        ignore: "table.column" that looks like such a reference and is none.
        migrations: the host's Alembic folder, to know its revisions.
        version_table: where Alembic keeps the revision.
        shrunk: which share of a table's rows may be gone since the backup, 0 to 1.
    """

    tables: Mapping[str, Count] | None = None
    exact: bool = False
    references: Sequence[tuple[str, str, str, str]] = ()
    ignore: Sequence[str] = ()
    migrations: Path | None = None
    version_table: str = "alembic_version"
    shrunk: float = field(default=SHRUNK)


Found = Sequence[Finding]
Check = Callable[[Connection, Database, Expectations], Found]
"""One check: asks the database by the connection; [] if all is well.

Raises:
    Skipped: it does not apply to this database.
    sqlalchemy.exc.DBAPIError, OperatorError: it could not be made.
"""


def references(lines: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Child table and column, parent table and column, from "segments.session_id -> sessions.id".

    Raises:
        ConfigurationError: a line is not of that form.
    """
    found = []
    for line in lines:
        match = _REFERENCE.fullmatch(line)
        if not match:
            raise ConfigurationError(
                f"database.references: {line!r} must be like 'segments.session_id -> sessions.id'."
            )
        found.append((match[1], match[2], match[3], match[4]))
    return found
