"""What a database is expected to hold beyond its own constraints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.integrity.findings import Finding

# A live table may well lose rows since a backup; half of them at once is no everyday delete.
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
    """

    tables: Mapping[str, Count] | None = None
    exact: bool = False
    references: Sequence[tuple[str, str, str, str]] = ()
    ignore: Sequence[str] = ()
    migrations: Path | None = None
    version_table: str = "alembic_version"
    shrunk: float = field(default=SHRUNK)


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
