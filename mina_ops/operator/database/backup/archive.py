"""A backup file as PostgreSQL's tools see it: what is in it, and how it is loaded."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mina_ops.operator.database.connection import tools
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.errors import BackupFailed
from mina_ops.operator.system import programs

_ENTRY = re.compile(r"(?P<id>\d+); \d+ \d+ (?P<what>.*)")
_TOLD = re.compile(
    r"^(?:GRANT|REVOKE|ALTER DEFAULT)\b.*?(?: FOR ROLE (.+?) .*)? (?:TO|FROM) (.+?);$"
)
# What pg_restore's script begins with, and the errors of a function that it is too strict for.
_NO_PATH = b"SELECT pg_catalog.set_config('search_path', '', false);"
_UNDEFINED = re.compile(r"(?:function|relation|type|operator) .*does not exist")
# From 17 on, pg_restore sets what servers before 17 do not know. New sessions have it off.
_NEW_SETTING = b"SET transaction_timeout = 0;"
_UNKNOWN = re.compile(r"unrecognized configuration parameter \"transaction_timeout\"")
_HEAD_BYTES = 1 << 16
_LIST_SECONDS = 300


@dataclass(frozen=True)
class Loading:
    """How an archive is loaded.

    Attributes:
        flags: of pg_restore, beside those that always stand.
        leave_out: says of a line of the table of contents that it is left out.
        schemas: where functions look that name none, if the archive cannot be loaded without.
    """

    flags: Sequence[str] = ()
    leave_out: Callable[[str], bool] | None = None
    schemas: Sequence[str] = ()


def contents(archive: Path) -> list[str]:
    """The lines of an archive's table of contents.

    Raises:
        BackupFailed: it is no archive, or its beginning is damaged.
        ToolMissing: pg_restore is not installed.
    """
    result = tools.offline(["pg_restore", "--list", archive], timeout_seconds=_LIST_SECONDS)
    if not result.ok:
        said = tools.said(result)
        if tools.is_too_old(result):
            raise BackupFailed(f"{archive} cannot be read: {said}.")
        raise BackupFailed(
            f"{archive} is no backup in PostgreSQL's custom format, or it is damaged "
            f"({said}). Make one with `mina-ops db backup`."
        )
    return [line for line in result.stdout.splitlines() if line and not line.startswith(";")]


def roles(archive: Path) -> list[str]:
    """The roles that an archive without manifest names as owners or in its rights."""
    lines = contents(archive)
    owners = {line.rpartition(" ")[2] for line in lines if _ENTRY.match(line)}
    rights = [line for line in lines if " ACL " in line]
    granted: set[str] = set()
    if rights:
        with tempfile.TemporaryDirectory(prefix="mina-list-") as folder:
            chosen = Path(folder) / "rights"
            chosen.write_text("\n".join(rights) + "\n")
            argv: list[str | Path] = ["pg_restore", "--use-list", chosen, "--file", "-", archive]
            for line in tools.offline(argv, timeout_seconds=_LIST_SECONDS).stdout.splitlines():
                match = _TOLD.match(line)
                granted |= {part for part in (match.groups() if match else ()) if part}
    plain = {name.removesuffix(" WITH GRANT OPTION").strip('"') for name in owners | granted}
    return sorted(plain - {"", "-", "PUBLIC"} - {n for n in plain if n.startswith("pg_")})


def load(database: Database, archive: Path, how: Loading) -> programs.Result:
    """Load an archive; the result of the program that did it or failed.

    pg_restore looks for nothing in any schema that is not named. A function in a CHECK that
    relies on the search path fails there; then it is tried once more with `how.schemas`. One of a
    newer release than the server sets what the server does not know; then its script is loaded
    without that line.
    """
    with tempfile.TemporaryDirectory(prefix="mina-load-") as folder:
        flags = list(how.flags)
        if how.leave_out is not None:
            chosen = Path(folder) / "list"
            kept = [line for line in contents(archive) if not how.leave_out(line)]
            chosen.write_text("\n".join(kept) + "\n")
            flags += ["--use-list", str(chosen)]
        argv = ["pg_restore", "--exit-on-error", *flags]
        result = tools.run(
            database, [*argv, "--no-password", "--dbname", database.database, archive]
        )
        script = _Script(database, archive, flags, Path(folder) / "script.sql")
        if _UNKNOWN.search(result.stderr):
            result = script.load(_NEW_SETTING) or result
        if how.schemas and _UNDEFINED.search(result.stderr):
            result = script.load(_NEW_SETTING, _NO_PATH, schemas=how.schemas) or result
        return result


@dataclass(frozen=True)
class _Script:
    """An archive as SQL, which psql loads."""

    database: Database
    archive: Path
    flags: Sequence[str]
    file: Path

    def load(self, *without: bytes, schemas: Sequence[str] = ()) -> programs.Result | None:
        """Load it without some of its first lines; None if it cannot be written."""
        kept = [flag for flag in self.flags if flag != "--single-transaction"]
        argv: list[str | Path] = ["pg_restore", *kept, "--file", self.file, self.archive]
        if not tools.offline(argv).ok:
            return None
        with self.file.open("r+b") as file:
            head = file.read(_HEAD_BYTES)
            for line in without:
                if (at := head.find(line)) >= 0:
                    file.seek(at)
                    file.write(b" " * len(line))
        once = ["--single-transaction"] if "--single-transaction" in self.flags else []
        argv = ["psql", "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", *once, "-f", self.file]
        return tools.run(self.database, [*argv, "-d", self.database.database], search_path=schemas)
