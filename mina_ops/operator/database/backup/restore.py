"""Restore a backup whole: all or nothing, and never over what serves unless told its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mina_ops.operator.database.backup import (
    archive,
    census,
    manifest,
    readiness,
    surroundings,
    traits,
)
from mina_ops.operator.database.backup import backup as backups
from mina_ops.operator.database.backup.manifest import Manifest
from mina_ops.operator.database.backup.readiness import Choices
from mina_ops.operator.database.backup.replace_sqlite import replace_sqlite
from mina_ops.operator.database.connection import identity, tools
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.drop import drop
from mina_ops.operator.database.connection.errors import (
    DatabaseUnreachable,
    Refused,
    RestoreFailed,
)
from mina_ops.operator.database.connection.queries import rows, run
from mina_ops.operator.database.connection.sealed import sealed

_KNOWN = sealed("SELECT 1 FROM pg_database AS d WHERE d.datname = CAST(:name AS pg_catalog.name)")
_MAINTENANCE = "postgres"
_VERSION = "SELECT pg_catalog.current_setting('server_version') AS v"


@dataclass(frozen=True)
class Restored:
    """What came of a restore: tables whose rows are not those of the manifest, and remarks."""

    differences: Sequence[str]
    remarks: Sequence[str]


def check(backup: Path) -> Manifest | None:
    """Prove that a backup file is the one that its manifest describes; None without manifest.

    Raises:
        RestoreFailed: it is missing, half-written or changed.
    """
    if not backup.is_file():
        raise RestoreFailed(f"There is no backup {backup}.")
    known = manifest.read(backup)
    if known is None:
        return None
    size = backup.stat().st_size
    if size != known.bytes or manifest.sha256(backup) != known.sha256:
        raise RestoreFailed(
            f"{backup} is not the file that was backed up ({size} of {known.bytes} bytes, or other "
            "ones); it is half-written or changed. Use another backup."
        )
    return known


def restore(
    backup: Path,
    target: Database,
    *,
    protected: Sequence[Database] = (),
    choices: Choices | None = None,
    safety_folder: Path | None = None,
) -> Restored:
    """Restore a whole backup in one transaction; a target that does not exist yet is made.

    Args:
        protected: databases that it may only go to if `choices.force` names them.
        safety_folder: where a forced restore first backs up what is there now.

    Raises:
        Refused: the target serves or may serve, and its name was not given.
        RestoreFailed: the server lacks something, or the load failed; the target is as it was.
    """
    choices = choices or Choices()
    known = check(backup)
    if known is not None and known.kind != target.kind:
        raise RestoreFailed(f"{backup.name} is of {known.kind}, and {target.name} is not.")
    if target.kind == "sqlite":
        require_free(target, known, protected, choices.force)
        _keep_safe(target, choices, safety_folder)
        replace_sqlite(backup, target)
        return _compared(target, known)
    with _existing(target, known) as is_new:
        require_free(target, known, protected, choices.force)
        how = readiness.way(backup, known, target, choices, is_new=is_new)
        _keep_safe(target, choices, safety_folder)
        result = archive.load(target, backup, how)
        if not result.ok:
            raise RestoreFailed(
                f"{backup.name} was not restored into {target.name}: {tools.said(result)}. The "
                f"target is as it was.{_advice(result.stderr, target, known)}"
            )
        if is_new and known is not None:
            surroundings.give(target, known.traits)
    return _compared(target, known)


def require_free(
    target: Database, known: Manifest | None, protected: Sequence[Database], force: str | None
) -> None:
    """Stop before what serves is overwritten, whatever name it is reached by.

    Raises:
        Refused: it serves, or nobody can say that it does not, and `force` is not its name.
    """
    if force is not None:
        if force != target.database:
            raise Refused(
                f"The target is {target.name}; to overwrite it, --force {target.database}."
            )
        return
    why = _why_it_serves(target, known, protected)
    if why:
        raise Refused(
            f"{target.name} is the database in use: {why}. Restore into another one (set "
            "RESTORE_DATABASE_URL), check it, and switch; to restore over this one, say its name: "
            f"--force {target.database}."
        )


def _why_it_serves(
    target: Database, known: Manifest | None, protected: Sequence[Database]
) -> str | None:
    place = identity.durable(target) if _exists(target) else ""
    if known and (known.source == target.address or (place and place == known.identity)):
        return "the backup was made of it"
    elsewhere = bool(known and place and known.identity and place != known.identity)
    for other in protected:
        alike = identity.same(target, other)
        if alike:
            return f"it is {other.name}"
        if alike is None and not elsewhere:
            return f"{other.name} cannot be asked whether it is the same"
    there = identity.users(target) if _exists(target) else ()
    return f"{', '.join(there)} connected to it" if there else None


def _exists(target: Database) -> bool:
    return target.kind != "sqlite" or target.file.is_file()


def _keep_safe(target: Database, choices: Choices, folder: Path | None) -> None:
    if choices.force and folder is not None and _exists(target):
        before = folder / backups.file_name(datetime.now(UTC), "pre_restore_backup")
        backups.make(target, before, prove=False)


@contextmanager
def _existing(target: Database, known: Manifest | None) -> Iterator[bool]:
    """Within it the database is there; one that was made for this (True) goes if this fails."""
    made = _create(target, known)
    whole = False
    try:
        yield made
        whole = True
    finally:
        if made and not whole:
            with target.named(_MAINTENANCE).connect(isolation_level="AUTOCOMMIT") as connection:
                drop(connection, target.database)


def _create(target: Database, known: Manifest | None) -> bool:
    try:
        with target.connect():
            return False
    except DatabaseUnreachable as exc:
        if known is None or "no database of that name" not in str(exc):
            raise
    with target.named(_MAINTENANCE).connect(isolation_level="AUTOCOMMIT") as connection:
        if rows(connection, _KNOWN, name=target.database):
            return False
        owner = known.traits.owner if traits.may_own(connection, known.traits.owner) else ""
        run(connection, known.traits.creation(target.database, owner))
    return True


def _advice(said: str, target: Database, known: Manifest | None) -> str:
    if "permission denied for schema" in said:
        owner = known.traits.owner if known else "the tables' owner"
        return (
            f" The owners in it may not create there. Let the target belong to {owner} (ALTER "
            "DATABASE ... OWNER TO), use a superuser's URL, or leave owners out: --no-owner."
        )
    with target.connect() as connection:
        there = str(rows(connection, _VERSION)[0].v)
    of = known.server_version if known else there
    if _release(there) >= _release(of):
        return ""
    # The target's server is older than the one that the backup is of.
    return (
        f" It is of PostgreSQL {of}, and this server is {there}, which is older; restore it into "
        f"{_release(of)} or newer."
    )


def _release(version: str) -> int:
    """Its number, also of `18beta1`."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def _compared(target: Database, known: Manifest | None) -> Restored:
    if known is None:
        return Restored([], ["it has no manifest, so nothing says what it must hold"])
    with target.connect() as connection:
        found = traits.read(connection)
        remarks = [*traits.differences(known.traits, found)]
        remarks += surroundings.missing(connection, known.traits, found, target.database)
        alike = found.encoding == known.traits.encoding or not known.traits.encoding
        # The same text in another encoding is other bytes.
        counted = census.take(connection, fingerprints=alike)
    return Restored([*census.differences(known.tables, counted).values()], remarks)
