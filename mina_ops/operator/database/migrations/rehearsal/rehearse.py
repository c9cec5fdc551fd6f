"""Runs migrations in a scratch copy of the schema, by a role without rights, and observes them.

The copy has the target's schema and a few of its rows, on the target's own server, and is dropped
afterwards. The migrations run as Alembic runs them, but without the host's env.py, which may need
an app. The role is made for this and owns nothing but the copy, so whatever a migration tries, it
changes nothing else on the server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from mina_ops.errors import OperatorError
from mina_ops.operator.database.backup import proof, scratch, traits
from mina_ops.operator.database.connection import failures, guest, tools
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.database.migrations import host_app
from mina_ops.operator.database.migrations.lint_rules import BLOCKING, Danger
from mina_ops.operator.database.migrations.mapped import Mapped
from mina_ops.operator.database.migrations.rehearsal import dangers, sample, schema
from mina_ops.operator.database.migrations.rehearsal.watch import Watch, ask
from mina_ops.operator.database.migrations.revisions import Tree, call_upgrade

_PATH = sealed("""
SELECT split_part(c.line, '=', 2) AS path
FROM pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS c(line)
LEFT JOIN pg_database AS d ON d.oid = s.setdatabase LEFT JOIN pg_roles AS r ON r.oid = s.setrole
WHERE starts_with(c.line, 'search_path=')
  AND (((s.setdatabase = '0'::oid) OR (d.datname = current_database()))
  AND ((s.setrole = '0'::oid) OR (r.rolname = current_user)))
ORDER BY s.setrole DESC, s.setdatabase DESC LIMIT 1
""")
_NO_RIGHT = ("InsufficientPrivilege",)


@dataclass
class Rehearsed:
    """What the rehearsal showed: findings, revisions that ran to their end, and remarks."""

    dangers: list[Danger] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RehearsalPlan:
    """What is to be rehearsed, and under which conditions it will run.

    Attributes:
        at: the revisions that the database is at.
        upper: the revisions to reach.
        transaction_per_migration: each has its own; else one transaction holds all of them.
        timeouts_set: lock and statement timeouts come from elsewhere.
        bind: which of several databases, for migrations of Flask-Migrate's `--multidb`.
    """

    tree: Tree
    at: Sequence[str]
    upper: Sequence[str]
    version_table: str = "alembic_version"
    transaction_per_migration: bool = False
    timeouts_set: bool = False
    bind: str = ""
    mapped: Mapped | None = None


def rehearse(database: Database, plan: RehearsalPlan) -> Rehearsed:
    """Run the migrations in a scratch copy of the database's schema.

    Where the server or the role does not allow it, nothing is found and a remark says why.
    """
    try:
        with copied(database) as (copy, search_path):
            return run(copy, plan, search_path)
    except OperatorError as exc:
        return Rehearsed(remarks=[f"Not tried on PostgreSQL, judged by rules alone: {exc}"])


@contextmanager
def copied(database: Database) -> Iterator[tuple[Database, str]]:
    """A scratch copy of a database's schema, as a guest reaches it, and the search path there.

    Raises:
        OperatorError: the role may not make it, or the schema cannot be restored.
    """
    with tempfile.TemporaryDirectory(prefix="mina-schema-") as folder:
        file = Path(folder) / "schema"
        with database.connect() as connection:
            known = proof.situation(connection, traits.read(connection), ())
            found = rows(connection, _PATH)
        argv = ["pg_dump", "--format=custom", "--schema-only", "--no-owner", "--no-acl"]
        result = tools.run(database, [*argv, "--no-password", "--file", file])
        if not result.ok:
            raise OperatorError(f"pg_dump says: {tools.said(result)}.")
        with (
            guest.guest(database) as host,
            scratch.empty(database, known.traits, host) as copy,
        ):
            proof.fill_as_guest(copy, host, file, known)
            sample.fill(database, host.of(copy))
            yield host.of(copy), found[0].path if found else '"$user", public'


def run(copy: Database, plan: RehearsalPlan, search_path: str) -> Rehearsed:
    """Run the migrations in a copy that is there, as its owner."""
    engine = create_engine(copy.url, poolclass=NullPool, use_native_hstore=False)
    with engine.connect() as connection:
        session: Any = connection.connection.dbapi_connection
        # The migrations name tables as the app does, so names are looked for where the app's are.
        ask(session, f"SET search_path = {search_path}")
        if plan.timeouts_set:
            ask(session, "SET lock_timeout = '5s'")
            ask(session, "SET statement_timeout = '60s'")
        session.commit()
        return _Rehearsal(connection, session, plan).run()


class _Rehearsal:
    """One run of the migrations; the schema is looked at before the first and after each."""

    def __init__(self, connection: Connection, session: Any, plan: RehearsalPlan) -> None:
        self._connection = connection
        self._session = session
        self._plan = plan
        self._shown = Rehearsed()
        self._schemas = [self._schema_now()]
        session.commit()
        self._watch = Watch(connection)

    def run(self) -> Rehearsed:
        """What was seen; a migration that fails ends the run, and is a finding or a remark."""
        version_schema, _, version_table = self._plan.version_table.rpartition(".")
        context = MigrationContext.configure(
            self._connection,
            opts={
                "fn": self._steps,
                "transaction_per_migration": self._plan.transaction_per_migration,
                "version_table": version_table,
                "version_table_schema": version_schema or None,
            },
        )
        try:
            with Operations.context(context), context.begin_transaction():
                context.run_migrations()
        except DBAPIError as exc:
            _failed(exc, self._watch.revision, self._shown)
        except Exception as exc:  # whatever a migration's own code raises
            remark = f"{self._watch.revision}: not tried to its end ({_reason(exc)})"
            self._shown.remarks.append(remark)
        self._shown.dangers += dangers.of_effects(
            self._watch.effects, self._schemas[0], version_table
        )
        return self._shown

    def _steps(self, *_: Any) -> list[Any]:
        """The migrations to run, as Alembic asks for them."""
        steps = self._plan.tree.steps(self._plan.at, self._plan.upper)
        for step in steps:
            step.migration_fn = partial(self._upgrade, step.revision)
        return steps

    def _upgrade(self, script: Any, **_: Any) -> None:
        self._watch.revision = script.revision
        call_upgrade(script.module, self._plan.bind)
        self._schemas.append(self._schema_now())
        first, before, after = self._schemas[0], *self._schemas[-2:]
        self._shown.dangers += dangers.of_schema(
            script.revision, first, before, after, self._plan.mapped
        )
        self._shown.done.add(script.revision)

    def _schema_now(self) -> schema.Schema:
        return schema.read(partial(ask, self._session))


def _failed(error: DBAPIError, revision: str, shown: Rehearsed) -> None:
    said = failures.said(error)
    if type(error.orig).__name__ in _NO_RIGHT or "must be superuser" in said:
        shown.remarks.append(
            f"{revision}: needs rights that a rehearsal has not ({said}); judged by rules alone."
        )
        return
    shown.dangers.append(
        Danger(
            revision,
            "fails",
            BLOCKING,
            revision,
            f"PostgreSQL refuses it in a copy of the schema: {said}",
            "Mend the migration; what it did before that is left half done where it is not in a "
            "transaction.",
        )
    )


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it reads the variable {error}; set it and try again"
    if "application context" in str(error):
        return host_app.ADVICE
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
