"""Runs the integrity checks of a database, each by itself, so that one that fails hides no other.

The checks read in one transaction, so they see the data of one moment, and write nothing. They
use no index: a damaged one would hide the very rows that it lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.errors import OperatorError
from mina_ops.operator.database.connection import failures
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import run
from mina_ops.operator.database.integrity import postgresql, sqlite
from mina_ops.operator.database.integrity.expectations import Check, Expectations, Skipped
from mina_ops.operator.database.integrity.findings import CheckResult, Finding, Report

STATEMENT_SECONDS = 600


@dataclass
class _Run:
    """Collects what the checks of one run say."""

    connection: Connection
    results: list[CheckResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def check(self, name: str, ask: Callable[[], Sequence[Finding]]) -> None:
        started = time.monotonic()
        found: Sequence[Finding] = ()
        reason = ""
        savepoint = self.connection.begin_nested()
        try:
            found = ask()
            state = "fault" if found else "ok"
        except Skipped as exc:
            found, reason = exc.found, str(exc)
            state = "fault" if found else "skipped"
        except (DBAPIError, OperatorError) as exc:
            state, reason = "error", _reason(exc)
        savepoint.rollback()
        self.findings.extend(found)
        seconds = round(time.monotonic() - started, 3)
        self.results.append(CheckResult(name, state, seconds, reason))


def check(
    database: Database,
    expected: Expectations | None = None,
    *,
    only: Sequence[str] = (),
    statement_seconds: int = STATEMENT_SECONDS,
) -> Report:
    """The report of every check of this kind of database, or of those named by `only`.

    Blocks for as long as the tables take to be read. Nothing is written.

    Args:
        expected: what to compare with, such as a backup's manifest.
        statement_seconds: limit for each statement of a check.

    Raises:
        DatabaseUnreachable: no connection.
        OperatorError: `only` names a check that does not exist.
    """
    expected = expected or Expectations()
    checks = checks_for(database)
    if unknown := set(only) - checks.keys():
        raise OperatorError(
            f"There is no check {', '.join(sorted(unknown))}; there are {', '.join(checks)}."
        )
    options = {}
    if database.kind == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with database.connect(**options) as connection:
        if database.kind == "postgresql":
            _see_everything(connection, statement_seconds)
        run = _Run(connection)
        for name, ask in checks.items():
            if not only or name in only:
                run.check(name, lambda ask=ask: ask(connection, database, expected))  # type: ignore[misc]
        return Report(database.name, tuple(run.results), tuple(run.findings))


def checks_for(database: Database) -> Mapping[str, Check]:
    """The checks for this kind of database, by name, in the order in which they run."""
    return sqlite.CHECKS if database.kind == "sqlite" else postgresql.CHECKS


def _see_everything(connection: Connection, seconds: int) -> None:
    """Make the transaction read tables themselves and all of their rows, with a time limit."""
    for method in ("indexscan", "indexonlyscan", "bitmapscan"):
        run(connection, f"SET LOCAL enable_{method} = off")
    # Row security would show a part of the rows for the whole; an error is better.
    run(connection, "SET LOCAL row_security = off")
    run(connection, f"SET LOCAL statement_timeout = {seconds * 1000}")


def _reason(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        texts = {
            "InsufficientPrivilege": "the role may not read everything that the check needs",
            "QueryCanceled": "it took longer than the statement timeout",
        }
        return texts.get(type(error.orig).__name__) or failures.said(error)
    return str(error)
