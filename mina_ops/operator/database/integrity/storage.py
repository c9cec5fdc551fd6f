"""The checks of how PostgreSQL stores the data: pages, indexes, unique keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mina_ops.errors import ToolMissing
from mina_ops.operator.database.backup import census
from mina_ops.operator.database.connection import catalogue, failures, tools, trust
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed_expression
from mina_ops.operator.database.integrity.affected import RESTORE
from mina_ops.operator.database.integrity.expectations import Expectations, Found, Skipped
from mina_ops.operator.database.integrity.findings import Finding

AMCHECK_SECONDS = 3600.0
# Each of pg_amcheck's reports begins so; what it found follows, on one or more lines.
_OBJECT = re.compile(r'(?:btree index|heap table) "[^"]*?\.([^"]+)"')
_AMCHECK = ("--no-password", "--heapallindexed", "--no-strict-names")
_SAMPLE = 5


def readable(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Tables of which a page or a row cannot be read."""
    found = []
    for table in census.tables(connection):
        savepoint = connection.begin_nested()
        try:
            census.count(connection, table)
        except DBAPIError as exc:
            kind = type(exc.orig).__name__
            if kind in ("InsufficientPrivilege", "QueryCanceled", "LockNotAvailable"):
                raise
            found.append(
                Finding(
                    "readable", table, f"{table} cannot be read ({failures.said(exc)})", RESTORE
                )
            )
        finally:
            savepoint.rollback()
    return found


def unique_keys(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Rows with the same key in a unique index, which lets that happen only when it is damaged."""
    found: list[Finding] = []
    left_out = []
    unsafe = trust.unsafe_expressions(connection)
    for index in catalogue.indexes(connection):
        if not index.is_unique:
            continue
        if index.oid in unsafe:
            left_out.append(f"{unsafe[index.oid]}; check it with the URL of that role")
            continue
        finding = _doubled(connection, index)
        found += [finding] if finding else []
    if left_out:
        raise Skipped("; ".join(left_out), found)
    return found


def _doubled(connection: Connection, index: Any) -> Finding | None:
    parts = [sealed_expression(key) for key in index.keys]
    keys = ", ".join(parts)
    conditions = [f"({sealed_expression(index.predicate)})"] if index.predicate else []
    if not index.nulls_count:
        conditions += [f"({key}) IS NOT NULL" for key in parts]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    doubled = (
        f"SELECT {keys} FROM {index.table} {where} GROUP BY {keys} "  # noqa: S608
        "HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"
    )
    groups = rows(connection, f"{doubled} LIMIT 1000")
    if not groups:
        return None
    return Finding(
        "unique_keys",
        index.table,
        f"{index.table} has keys twice in {index.name} ({keys})",
        f"Remove the wrong rows, then REINDEX INDEX CONCURRENTLY {index.name}.",
        rows=len(groups),
        sample=tuple(", ".join(map(str, group)) for group in groups[:_SAMPLE]),
        where=_among(doubled, parts),
    )


def _among(doubled: str, keys: Sequence[str]) -> str:
    """The condition for the rows of a table whose keys are among those that come twice."""
    names = ", ".join(f"mina_key_{number}" for number in range(len(keys)))
    mine = ", ".join(keys)
    return (
        f"EXISTS (SELECT 1 FROM ({doubled}) AS twice({names}) "  # noqa: S608
        f"WHERE ROW({names}) OPERATOR(pg_catalog.=) ROW({mine}))"
    )


def invalid_indexes(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Indexes that PostgreSQL does not use, as a failed CREATE INDEX CONCURRENTLY leaves behind."""
    return [
        Finding(
            "invalid_indexes",
            index.table,
            f"the index {index.name} of {index.table} is invalid; it costs writes and serves none",
            f"DROP INDEX CONCURRENTLY {index.name}; and build it again.",
        )
        for index in catalogue.indexes(connection)
        if not index.usable
    ]


def structure(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Damaged pages and indexes, by pg_amcheck."""
    if not catalogue.has_amcheck(connection):
        raise Skipped("the extension amcheck is not installed (CREATE EXTENSION amcheck)")
    argv = [*_AMCHECK, "--database", database.database]
    try:
        result = tools.run(
            database,
            [tools.server_program("pg_amcheck"), *argv],
            timeout_seconds=AMCHECK_SECONDS,
        )
    except ToolMissing as exc:
        raise Skipped("pg_amcheck is not installed (Debian: postgresql)") from exc
    if result.ok:
        return []
    damaged, is_refused = _damaged(f"{result.stderr}\n{result.stdout}")
    found = [
        Finding(
            "structure",
            "",
            f"pg_amcheck finds {name} damaged",
            f"An index: REINDEX INDEX CONCURRENTLY {name}. A table: restore it, check the disk.",
        )
        for name in damaged
    ]
    if is_refused:
        raise Skipped("the role may not EXECUTE the functions of amcheck", found)
    return found


def _damaged(said: str) -> tuple[list[str], bool]:
    """The objects that pg_amcheck finds damaged, and whether it was refused some."""
    blocks = _OBJECT.split(said)
    refused = [block for block in blocks if "permission denied" in block]
    names = {
        name: None
        for name, block in zip(blocks[1::2], blocks[2::2], strict=True)
        if block not in refused
    }
    if not names and not refused:
        names = {"an object that it does not name": None}
    return list(names), bool(refused)


def checksums(connection: Connection, database: Database, expected: Expectations) -> Found:
    """Pages whose checksum failed when the server read them."""
    found = rows(
        connection,
        "SELECT d.checksum_failures AS n FROM pg_catalog.pg_stat_database AS d "
        "WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()",
    )
    if not found or found[0].n is None:
        raise Skipped("this server keeps no checksums (initdb --data-checksums)")
    if not found[0].n:
        return []
    detail = f"{found[0].n} pages failed their checksum"
    return [Finding("checksums", "", detail, "The disk is at fault. Restore on another machine.")]
