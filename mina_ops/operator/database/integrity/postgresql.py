"""The checks of a PostgreSQL database's data, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.operator.database.integrity import comparison, constraints, references, storage
from mina_ops.operator.database.integrity.expectations import Check

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
