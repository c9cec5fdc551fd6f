"""Finds out what migrations would do, without a database and without the host's env.py.

Each is run with Alembic's offline mode, which executes nothing; its operations are recorded, and
the SQL that Alembic makes of them is kept.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import BatchOperations, Operations
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from alembic.script import Script

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.migrations import host_app
from mina_ops.operator.database.migrations.revisions import call_upgrade


@dataclass
class Rendered:
    """One migration: its operations in order, and its SQL.

    Attributes:
        operations: each with whether it runs outside a transaction (`autocommit_block`).
        problem: why the rest could not be rendered, as when it reads the database first.
        reversible: whether its downgrade does anything.
    """

    revision: str
    title: str
    operations: list[tuple[MigrateOperation, bool]] = field(default_factory=list)
    sql: str = ""
    problem: str | None = None
    reversible: bool = True


class _Recorder:
    """Keeps what Alembic's operations are asked to do, in batches too."""

    def __init__(self, operations: Operations, into: Rendered, buffer: io.StringIO) -> None:
        self._into = into
        self._buffer = buffer
        self._is_sqlite = operations.get_context().dialect.name == "sqlite"
        self._open_batch = operations.batch_alter_table
        # Replaced on the object: `alembic.op` calls Operations itself, never a subclass of it.
        operations.batch_alter_table = self._batch  # type: ignore[method-assign]
        self._listen(operations)

    def _listen(self, operations: Operations | BatchOperations) -> None:
        invoke = operations.invoke

        def keep_and_invoke(operation: MigrateOperation) -> Any:
            said = self._buffer.getvalue()
            outside = said.rfind("COMMIT;") > said.rfind("BEGIN;")
            self._into.operations.append((operation, outside))
            return invoke(operation)

        operations.invoke = keep_and_invoke  # type: ignore[method-assign]

    @contextmanager
    def _batch(self, *args: Any, **options: Any) -> Iterator[BatchOperations]:
        with self._open_batch(*args, **options) as batch:
            self._listen(batch)
            if self._is_sqlite:
                # For SQLite, Alembic would copy the table, and look at the database to do so. Only
                # the operations are wanted, not that SQL.
                batch.impl.flush = lambda: None  # type: ignore[method-assign]
            yield batch


def render(
    scripts: Sequence[Script], dialect: str = "postgresql", bind: str = ""
) -> list[Rendered]:
    """What each migration's upgrade does, in the order given.

    Raises:
        ConfigurationError: they know no database `bind`.
    """
    return [_render(script, dialect, bind) for script in scripts]


def _render(script: Script, dialect: str, bind: str) -> Rendered:
    module = script.module
    done = Rendered(script.revision, script.doc or "", reversible=_is_reversible(module))
    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect_name=dialect,
        opts={"as_sql": True, "output_buffer": buffer, "literal_binds": True},
    )
    operations = Operations(context)
    _Recorder(operations, done, buffer)
    operations._install_proxy()
    try:
        call_upgrade(module, bind)
    except ConfigurationError:
        raise
    except Exception as exc:  # whatever a migration does when there is no database to ask
        line = _line(exc, module)
        where = f"what follows line {line} cannot be" if line else "it cannot be"
        done.problem = f"{where} judged without running it ({_reason(exc)})"
    finally:
        operations._remove_proxy()
    done.sql = buffer.getvalue()
    return done


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it reads the variable or key {error}"
    if "application context" in str(error):
        return host_app.ADVICE
    return "it asks the database"


def _is_reversible(module: Any) -> bool:
    downgrade = getattr(module, "downgrade", None)
    if downgrade is None:
        return False
    does_something = bool(set(downgrade.__code__.co_names) - {"NotImplementedError"})
    return does_something or not module.upgrade.__code__.co_names


def _line(error: Exception, module: Any) -> int:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == getattr(module, "__file__", None):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
