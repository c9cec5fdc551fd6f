"""Which Alembic revision a database is at, and which ones a folder of migrations knows."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.connection import names
from mina_ops.operator.database.connection.queries import quoted, rows
from mina_ops.operator.database.migrations import host_app


def current(connection: Connection, version_table: str = "alembic_version") -> list[str]:
    """The revisions that a database says it is at: none, one, or one for each branch.

    Args:
        version_table: Alembic's; "schema.table" where it is not alone of its name.

    Raises:
        ConfigurationError: several schemas have such a table.
    """
    table = _version_table(connection, version_table)
    if table is None:
        return []
    # Sorted here, since in PostgreSQL anybody may define what ORDER BY compares with.
    found = rows(connection, f"SELECT v.version_num FROM {table} AS v")  # noqa: S608
    return sorted(row.version_num for row in found)


def _version_table(connection: Connection, name: str) -> str | None:
    schema, bare = names.parts(name)
    if connection.dialect.name == "sqlite":
        known = {row.name for row in rows(connection, "SELECT name FROM sqlite_master")}
        return quoted(bare) if bare in known else None
    found = [one for one in names.tables(connection, bare) if schema in (None, one.schema)]
    if len(found) > 1:
        several = ", ".join(one.plain for one in found)
        raise ConfigurationError(
            f"There are several version tables ({several}); say which one counts in mina-ops.toml: "
            f'[database] version_table = "{found[0].plain}".'
        )
    return found[0].sql if found else None


def call_upgrade(module: Any, bind: str = "") -> None:
    """Run a migration's upgrade; those of Flask-Migrate's --multidb are told which database.

    Raises:
        ConfigurationError: they know no database of that name.
    """
    with host_app.around(inspect.getsource(module)):
        if not inspect.signature(module.upgrade).parameters:
            module.upgrade()
            return
        _require_bind(module, bind)
        module.upgrade(bind)


def _require_bind(module: Any, bind: str) -> None:
    """Flask-Migrate writes one function for each database: `upgrade_` and its name."""
    known = [name.removeprefix("upgrade_") for name in vars(module) if name.startswith("upgrade_")]
    if known and bind not in known:
        listed = ", ".join(f"--bind {name}" if name else "none (the default)" for name in known)
        raise ConfigurationError(
            f"The migrations know no database {bind or 'without a name'!r}; say one of: {listed}."
        )


class Tree:
    """A folder of migrations, read without running its env.py, so no app is needed."""

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            ConfigurationError: it holds no migrations, or one that cannot be imported.
        """
        self.folder = folder
        if not (folder / "versions").is_dir():
            raise ConfigurationError(
                f"{folder} holds no migrations (no folder `versions`); give --migrations, or set "
                "database.migrations in mina-ops.toml."
            )
        self._scripts = ScriptDirectory(str(folder))
        files = sorted((folder / "versions").glob("*.py"))
        source = "\n".join(file.read_text(errors="replace") for file in files)
        with self._explained(), host_app.around(source):
            self.heads = list(self._scripts.get_heads())

    def head(self) -> str:
        """The one newest revision.

        Raises:
            ConfigurationError: there are several heads, or none.
        """
        if len(self.heads) != 1:
            found = ", ".join(self.heads) or "none"
            raise ConfigurationError(
                f"{self.folder} has {len(self.heads)} heads ({found}); merge them with "
                "`flask db merge heads`."
            )
        return self.heads[0]

    def steps(self, lower: Sequence[str], upper: Sequence[str]) -> list[Any]:
        """Alembic's own plan of an upgrade, to be run."""
        with self._explained():
            plan: Any = self._scripts._upgrade_revs
            return list(plan(tuple(upper), tuple(lower)))

    def knows(self, revision: str) -> bool:
        """Whether a revision is in the folder."""
        try:
            return self._scripts.get_revision(revision) is not None
        except (CommandError, RevisionError):
            return False

    def between(self, lower: Sequence[str], upper: str | Sequence[str]) -> list[Script]:
        """The migrations that an upgrade from `lower` to `upper` runs, in their order.

        Those of another branch that a merge brings in are among them.

        Raises:
            ConfigurationError: one of them is not in the folder, or they are not on one line.
        """
        with self._explained():
            to = upper if isinstance(upper, str) else tuple(upper)
            steps = list(self._scripts.iterate_revisions(to, tuple(lower), implicit_base=True))
        return list(reversed(steps))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What Alembic or a migration raises within it becomes a ConfigurationError."""
        try:
            yield
        except (CommandError, RevisionError, SyntaxError, ImportError) as exc:
            reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
            raise ConfigurationError(f"The migrations in {self.folder}: {reason}") from exc
        except KeyError as exc:
            raise ConfigurationError(
                f"A migration in {self.folder} reads the variable {exc} when it is loaded; set it "
                "and run this again."
            ) from exc
        except RuntimeError as exc:
            app = "application context" in str(exc)
            reason = host_app.ADVICE if app else f"{str(exc).splitlines()[0]}; mend it"
            raise ConfigurationError(
                f"A migration in {self.folder} cannot be loaded: {reason}."
            ) from exc
