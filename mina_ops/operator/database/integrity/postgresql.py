"""The checks of a PostgreSQL database's data, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.integrity import comparison, constraints, references, storage
from mina_ops.operator.database.integrity.findings import Finding
from mina_ops.operator.database.integrity.rules_of_data import Expectations

Check = Callable[[Connection, Database, Expectations], Sequence[Finding]]

CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        storage.readable,
        references.foreign_keys,
        references.orphans,
        constraints.not_valid,
        constraints.check_constraints,
        constraints.not_null,
        constraints.sequences,
        storage.unique_keys,
        storage.invalid_indexes,
        constraints.disabled_triggers,
        storage.structure,
        storage.checksums,
        comparison.row_counts,
        comparison.revision,
    )
}
