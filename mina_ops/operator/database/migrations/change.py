"""One thing that a migration does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One thing that a migration does to a table.

    Attributes:
        kind: such as `drop_column`; the rules' table lists them. `unknown`: nobody can say.
        table: bare name, without quotes and schema.
        column: the column, index or constraint, where there is one.
        safe: whether it has the form that blocks nobody and breaks nothing: an index built
            CONCURRENTLY, a constraint NOT VALID, a wider type, a column with a default. Of
            `timeout`: whether it is SET LOCAL, which ends with the transaction.
        outside: whether it runs outside a transaction.
        text: the raw SQL, if it came as such.
    """

    kind: str
    table: str
    column: str = ""
    safe: bool = False
    outside: bool = False
    text: str = ""

    @property
    def concurrent(self) -> bool:
        """Whether it is done CONCURRENTLY."""
        return self.safe and (not self.text or "CONCURRENTLY" in self.text.upper())
