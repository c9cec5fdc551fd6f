"""Checks before a restore whether the server can take the backup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from mina_ops.operator.database.backup import archive
from mina_ops.operator.database.backup.manifest import Manifest
from mina_ops.operator.database.connection import trust
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import Refused, RestoreFailed
from mina_ops.operator.database.connection.queries import quoted, rows
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.database.connection.trust import Code

_ROLES = "SELECT r.rolname FROM pg_catalog.pg_roles AS r"
_AVAILABLE = sealed("""
SELECT DISTINCT v.name::text AS name, v.trusted OR (NOT v.superuser) AS free
FROM pg_available_extension_versions AS v
""")
_ME = "SELECT current_user AS me"
_INSTALLED = sealed("""
SELECT e.extname AS name, n.nspname AS schema
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
""")
_ROUTINES = (" FUNCTION ", " PROCEDURE ", " AGGREGATE ", " DOMAIN ")


@dataclass(frozen=True)
class Choices:
    """What the operator said beside the file and the target.

    Attributes:
        force: the name of the database that may be overwritten though it serves.
        trust_code: run what lesser roles wrote into the backup with the operator's rights.
        owners: give everything its owner and rights; else all belongs to the operator's role.
    """

    force: str | None = None
    trust_code: bool = False
    owners: bool = True


def way(
    backup: Path, known: Manifest | None, target: Database, choices: Choices, *, is_new: bool
) -> archive.Loading:
    """How the backup is to be loaded into the target.

    Args:
        is_new: the target was made for this, and goes again if it cannot be loaded.

    Raises:
        RestoreFailed: the server lacks roles or extensions; the message has the lines to run.
        Refused: loading it would run code of lesser roles with the operator's rights.
    """
    with target.connect() as connection:
        trust.refuse_event_triggers(connection)
        if choices.owners:
            _require_roles(connection, backup, known)
        installed = {row.name: row.schema for row in rows(connection, _INSTALLED)}
        if known is not None:
            _require_extensions(connection, known, installed, target.database if is_new else "")
        code = _code(connection, backup, known)
        if code and not choices.trust_code:
            raise Refused(
                f"Loading {backup.name} into {target.name} would run code of other roles with the "
                f"rights of yours: {code[0]}. Restore with the URL of {code[0].owner}, or say "
                "--trust-code."
            )

    def leave_out(line: str) -> bool:
        # What is there stays, and its schema, which cannot be dropped while it is in there.
        if any(f" SCHEMA - {schema} " in line for schema in installed.values()):
            return True
        return " EXTENSION " in line and any(f" {name} " in f"{line} " for name in installed)

    flags = ["--clean", "--if-exists", "--single-transaction"]
    flags += [] if choices.owners else ["--no-owner", "--no-acl"]
    return archive.Loading(flags, leave_out, known.schemas if known else ())


def _require_roles(connection: Connection, backup: Path, known: Manifest | None) -> None:
    wanted = dict(known.traits.roles) if known and known.traits.encoding else {}
    wanted = wanted or dict.fromkeys(archive.roles(backup), True)
    there = {row.rolname for row in rows(connection, _ROLES)}
    missing = [name for name in wanted if name not in there]
    if missing:
        lines = " ".join(
            f"CREATE ROLE {quoted(name)}{' LOGIN' if wanted[name] else ''};" for name in missing
        )
        logins = ", ".join(name for name in missing if wanted[name])
        secret = f" No backup holds passwords: give {logins} theirs anew." if logins else ""
        raise RestoreFailed(
            f"The server lacks roles that own or may use what is in {backup.name}: "
            f"{', '.join(missing)}. Nothing was touched. Make them first: {lines}{secret} Or leave "
            "owners and rights out: --no-owner."
        )


def _require_extensions(
    connection: Connection, known: Manifest, installed: Mapping[str, str], making: str
) -> None:
    there = {row.name: row.free for row in rows(connection, _AVAILABLE)}
    wanted = [name for name in known.traits.extensions if name not in installed]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise RestoreFailed(
            f"The server lacks extensions that {known.file} needs: {', '.join(missing)}. Nothing "
            "was touched. Install their packages there."
        )
    kept = [name for name in wanted if not there[name]]
    if kept and not trust.is_superuser(connection):
        lines = " ".join(
            f"CREATE EXTENSION {quoted(name)} SCHEMA {quoted(known.traits.extensions[name])};"
            for name in kept
        )
        made = rows(connection, _ME)[0].me if making else ""
        first = f"make it with {known.traits.creation(making, made)}; and " if making else ""
        raise RestoreFailed(
            f"{known.file} needs extensions that only a superuser may create. Nothing was touched. "
            f"Let one {first}run in the target: {lines}"
        )


def _code(connection: Connection, backup: Path, known: Manifest | None) -> Sequence[Code]:
    if known is not None and known.traits.encoding:
        return trust.untrusted(connection, known.code)
    # Without a manifest nobody says what loading runs, so every routine counts.
    lines = [line for line in archive.contents(backup) if any(r in line for r in _ROUTINES)]
    return trust.untrusted(connection, [_of_line(line) for line in lines])


def _of_line(line: str) -> Code:
    what, _, owner = line.rpartition(" ")
    return Code(what.partition("; ")[2].partition(" ")[2].partition(" ")[2].lower(), owner)
