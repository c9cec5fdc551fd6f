"""The proof of a backup: it is restored, as `db restore` would, and every row compared.

Where rows are loaded, code of the database runs (see `trust`). If a lesser role wrote some of it,
the proof is made as a guest without rights, and what a guest cannot do is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from mina_ops.errors import AccessDenied
from mina_ops.operator.database.backup import archive, census, scratch
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.backup.traits import Traits
from mina_ops.operator.database.connection import guest as guests
from mina_ops.operator.database.connection import tools, trust
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import BackupFailed
from mina_ops.operator.database.connection.guest import Guest, Rights
from mina_ops.operator.database.connection.queries import quoted, rows, run
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.database.connection.trust import Code
from mina_ops.operator.system import programs

_WHOLE = ("--single-transaction",)
_BARE = (*_WHOLE, "--no-owner", "--no-acl")
# What needs a superuser, or belongs to the whole server.
_NOT_A_GUESTS = (" EVENT TRIGGER ", " PUBLICATION ", " PUBLICATION TABLE ", " SUBSCRIPTION ")
_EXTENSION = " EXTENSION "
_FORCED = sealed("""
SELECT (quote_ident(n.nspname) || '.') || quote_ident(c.relname) AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relforcerowsecurity
""")
_NOT_MEMBER = sealed("""
SELECT r.rolname FROM pg_roles AS r
WHERE (r.rolname = ANY (CAST(:names AS pg_catalog.text[]))) AND (NOT pg_has_role(r.oid, 'MEMBER'))
ORDER BY 1
""")
_WRAPPERS = "SELECT w.fdwname FROM pg_catalog.pg_foreign_data_wrapper AS w"
_NOT_FREE = sealed("""
SELECT e.name FROM pg_available_extension_versions AS e
WHERE (NOT e.trusted) AND (e.superuser AND e.installed) ORDER BY 1
""")


@dataclass(frozen=True)
class Situation:
    """What decides how a backup is proven, read in the snapshot that it was made in.

    Attributes:
        code: what loading it runs that the operator's role has no reason to trust.
        foreign: the same, if everything belonged to the operator.
        apart: owners that the operator's role cannot give things to.
        superusers: extensions that only a superuser may create.
    """

    traits: Traits
    rights: Rights = field(default_factory=lambda: Rights(False, False, False))
    code: Sequence[Code] = ()
    foreign: Sequence[Code] = ()
    apart: Sequence[str] = ()
    superusers: Sequence[str] = ()
    schemas: Sequence[str] = ()


def situation(connection: Connection, traits: Traits, code: Sequence[Code]) -> Situation:
    """The situation of the role and the database behind a connection."""
    if connection.dialect.name == "sqlite":
        return Situation(traits)
    rights = guests.rights(connection)
    owners = traits.roles if traits.owners is None else traits.owners
    names = "{" + ",".join(f'"{name}"' for name in owners if '"' not in name) + "}"
    return Situation(
        traits,
        rights,
        trust.untrusted(connection, code),
        trust.untrusted(connection, trust.functions(connection)),
        [row.rolname for row in rows(connection, _NOT_MEMBER, names=names)],
        [] if rights.superuser else [row.name for row in rows(connection, _NOT_FREE)],
        trust.schemas(connection),
    )


def prove(
    database: Database, backup: Path, tables: Mapping[str, Count], known: Situation
) -> list[str]:
    """Restore a backup beside its source and compare every row; what could not be tried.

    Raises:
        BackupFailed: it cannot be restored, or restores to other rows.
        AccessDenied: the role may not create what the proof needs.
    """
    with restored(database, backup, known) as (copy, remarks), copy.connect() as connection:
        differing = [*census.differences(tables, census.take(connection)).values()]
    if differing:
        raise BackupFailed(
            f"The backup of {database.name} restores to other rows: {'; '.join(differing[:3])}. "
            "It was thrown away; look at the server's log and disk."
        )
    return remarks


def _nothing(line: str) -> bool:
    return False


@contextmanager
def restored(
    database: Database,
    backup: Path,
    known: Situation,
    leave_out: Callable[[str], bool] = _nothing,
) -> Iterator[tuple[Database, list[str]]]:
    """A scratch database with the backup in it, for reading, and what could not be tried.

    Args:
        leave_out: says of a line of the backup's table of contents that nobody needs it.

    Raises: as `prove` does.
    """
    with ExitStack() as stack:
        if database.kind == "sqlite":
            yield stack.enter_context(scratch.restored_sqlite(backup)), []
            return
        host = _guest(database, known, stack)
        copy = stack.enter_context(scratch.empty(database, known.traits, host))
        if host is None:
            yield copy, _fill(copy, backup, known, leave_out)
        else:
            yield host.of(copy), fill_as_guest(copy, host, backup, known, leave_out)


def _guest(database: Database, known: Situation, stack: ExitStack) -> Guest | None:
    # Without owners everything would be the operator's, views and index expressions included.
    code = [*known.code, *(known.foreign if known.apart else ())]
    if not code:
        return None
    if not known.rights.roles:
        raise AccessDenied(
            f"Restoring {database.name} runs code of other roles with the rights of yours "
            f"({code[0]}), so it cannot be proven. Grant your role CREATEROLE, use the URL of "
            f"{code[0].owner}, or leave the proof out (--no-prove)."
        )
    return stack.enter_context(guests.guest(database))


def _fill(
    copy: Database, backup: Path, known: Situation, needless: Callable[[str], bool]
) -> list[str]:
    missing = [name for name in known.superusers if name in known.traits.extensions]
    remarks = [f"the extension {name}, which only a superuser makes" for name in missing]
    if known.apart:
        who = ", ".join(known.apart)
        remarks.append(f"owners and rights, since your role is no member of {who}")

    def leave_out(line: str) -> bool:
        extension = any(f" {name} " in f"{line} " for name in missing)
        return needless(line) or (_EXTENSION in line and extension)

    schemas = () if known.foreign else known.schemas
    whole = archive.Loading(_BARE if known.apart else _WHOLE, leave_out, schemas)
    result = archive.load(copy, backup, whole)
    if not known.apart and "permission denied for schema" in result.stderr:
        # Who owns the tables may not create in a database that is the prover's.
        remarks.append("owners and rights, which only a superuser could give in a new database")
        result = archive.load(copy, backup, archive.Loading(_BARE, leave_out, schemas))
    _require(result, backup)
    return remarks


def fill_as_guest(
    copy: Database,
    host: Guest,
    backup: Path,
    known: Situation,
    needless: Callable[[str], bool] = _nothing,
) -> list[str]:
    """Load a backup into a guest's database, with what only the operator may make put there first.

    The extensions' scripts run while the database is empty, so that nobody's code meets them.
    """
    remarks = ["owners and rights, since code of other roles ran without any"]
    made = _prepare(copy, host, known.traits, remarks)
    there = [_EXTENSION, *(f" SCHEMA - {schema} " for schema in made)]

    def leave_out(line: str) -> bool:
        if needless(line) or any(part in line for part in there):
            return True
        kind = next((kind for kind in _NOT_A_GUESTS if kind in line), "")
        if kind:
            remarks.append(f"the {kind.strip().lower()} {line.rsplit(' ', 2)[1]}")
        return bool(kind)

    _require(
        archive.load(host.of(copy), backup, archive.Loading(_BARE, leave_out, known.schemas)),
        backup,
    )
    with host.of(copy).connect() as connection, connection.begin():
        # It would hide rows from their owner, who is the guest here.
        for row in rows(connection, _FORCED):
            run(connection, f"ALTER TABLE {row.name} NO FORCE ROW LEVEL SECURITY")
    return list(dict.fromkeys(remarks))


def _prepare(copy: Database, host: Guest, traits: Traits, remarks: list[str]) -> set[str]:
    """Make the extensions; the schemas that were made for them."""
    made = set(traits.extensions.values()) - {"public", "pg_catalog"}
    with copy.connect(isolation_level="AUTOCOMMIT") as connection:
        rights = guests.rights(connection)
        for schema in made:
            run(connection, f"CREATE SCHEMA {quoted(schema)} AUTHORIZATION {quoted(host.name)}")
        free = set(traits.extensions) if rights.superuser else _free(connection)
        for name, schema in traits.extensions.items():
            if name in free:
                run(connection, f"CREATE EXTENSION {quoted(name)} SCHEMA {quoted(schema)} CASCADE")
            else:
                remarks.append(f"the extension {name}, which only a superuser makes")
        for row in rows(connection, _WRAPPERS) if rights.superuser else []:
            wrapper = quoted(row.fdwname)
            run(connection, f"GRANT USAGE ON FOREIGN DATA WRAPPER {wrapper} TO {quoted(host.name)}")
    return made


def _free(connection: Connection) -> set[str]:
    found = rows(
        connection,
        "SELECT e.name FROM pg_catalog.pg_available_extension_versions AS e WHERE e.trusted",
    )
    return {row.name for row in found}


def _require(result: programs.Result, backup: Path) -> None:
    if not result.ok:
        raise BackupFailed(
            f"{backup.name} cannot be restored into a scratch database: {tools.said(result)}. "
            "Mend that, or use another backup."
        )
