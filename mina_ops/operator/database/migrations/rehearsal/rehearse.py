"""A migration run in a scratch copy of the schema, by a role without rights, and watched.

The copy has the target's schema and a few of its rows, on the target's own server, and is gone
afterwards. The migrations run as Alembic runs them, but without the host's env.py, which may need
an app. What they do to the server is what a guest may do: nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from mina_ops.operator.database.migrations.rehearsal import judgement, picture, sample
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
class Play:
    """What is to be rehearsed, and under which conditions it will run.

    Attributes:
        at: the revisions that the database is at.
        upper: the revisions to reach.
        apart: each migration has a transaction of its own.
        timeouts_set: lock and statement timeouts come from elsewhere.
        bind: which of several databases, for migrations of Flask-Migrate's `--multidb`.
    """

    tree: Tree
    at: Sequence[str]
    upper: Sequence[str]
    version_table: str = "alembic_version"
    apart: bool = False
    timeouts_set: bool = False
    bind: str = ""
    mapped: Mapped | None = None


def rehearse(database: Database, play: Play) -> Rehearsed:
    """Run the migrations in a scratch copy of the database's schema.

    Where the server or the role does not allow it, nothing is found and a remark says why.
    """
    try:
        with copied(database) as (copy, search_path):
            return run(copy, play, search_path)
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


def run(copy: Database, play: Play, search_path: str) -> Rehearsed:
    """Run the migrations in a copy that is there, as its owner."""
    shown = Rehearsed()
    # The migrations name tables as the app does, so names are looked for where the app's are.
    engine = create_engine(copy.url, poolclass=NullPool, use_native_hstore=False)
    with engine.connect() as connection:
        session: Any = connection.connection.dbapi_connection
        ask(session, f"SET search_path = {search_path}")
        if play.timeouts_set:
            ask(session, "SET lock_timeout = '5s'")
            ask(session, "SET statement_timeout = '60s'")
        session.commit()
        _play(connection, session, play, shown)
    return shown


def _play(connection: Connection, session: Any, play: Play, shown: Rehearsed) -> None:
    old = picture.take(lambda sql: ask(session, sql))
    session.commit()
    watch = Watch(connection)
    pictures = [old]
    schema, _, bare = play.version_table.rpartition(".")

    def steps(_: Any, context: MigrationContext) -> list[Any]:
        return [_observed(step) for step in play.tree.steps(play.at, play.upper)]

    def _observed(step: Any) -> Any:
        module, revision = step.revision.module, step.revision.revision

        def upgrade(**_: Any) -> None:
            watch.revision = revision
            call_upgrade(module, play.bind)
            now = picture.take(lambda sql: ask(session, sql))
            shown.dangers += judgement.of_schema(revision, old, pictures[-1], now, play.mapped)
            pictures.append(now)
            shown.done.add(revision)

        step.migration_fn = upgrade
        return step

    context = MigrationContext.configure(
        connection,
        opts={
            "fn": steps,
            "transaction_per_migration": play.apart,
            "version_table": bare,
            "version_table_schema": schema or None,
        },
    )
    try:
        with Operations.context(context), context.begin_transaction():
            context.run_migrations()
    except DBAPIError as exc:
        _failed(exc, watch.revision, shown)
    except Exception as exc:
        shown.remarks.append(f"{watch.revision}: not tried to its end ({_reason(exc)})")
    timeouts = True
    shown.dangers += judgement.of_steps(watch.steps, old, bare, timeouts=timeouts)


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
