"""PostgreSQL's own programs against a database, and what they say when they fail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mina_ops.errors import ToolMissing
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import quoted
from mina_ops.operator.system import programs

ADVICE = "Install PostgreSQL's client programs (Debian: postgresql-client)."
RUN_SECONDS = 6 * 3600.0
_REFUSED_OPTIONS = "unsupported startup parameter"


def run(
    database: Database,
    argv: Sequence[str | Path],
    *,
    timeout_seconds: float = RUN_SECONDS,
    search_path: Sequence[str] = (),
) -> programs.Result:
    """Run pg_dump, pg_restore, psql or pg_amcheck against a database; its code is not judged.

    Args:
        search_path: schemas to look in, where nobody wrote in them whom the operator distrusts.

    Raises:
        ToolMissing: it is not installed.
    """
    program = programs.find(str(argv[0]), ADVICE)
    environment = database.libpq()
    if search_path:
        path = ",".join(map(quoted, search_path)).replace("\\", "\\\\").replace(" ", "\\ ")
        environment["PGOPTIONS"] = f"-c search_path={path}"
    result = programs.run(
        [program, *argv[1:]], timeout_seconds=timeout_seconds, environment=environment
    )
    if _REFUSED_OPTIONS in result.stderr:
        # A pooler. These programs pin the search path themselves before they ask anything.
        result = programs.run(
            [program, *argv[1:]],
            timeout_seconds=timeout_seconds,
            environment={**environment, "PGOPTIONS": ""},
        )
    return result


def said(result: programs.Result) -> str:
    """A program's own words: the lines that say what failed, without its own name before each."""
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    marked = [line for line in lines if "error:" in line or "ERROR:" in line]
    chosen = [_plain(line) for line in (marked or lines)[:2]]
    return "; ".join(dict.fromkeys(chosen)) or f"exit code {result.code}"


def server_program(name: str) -> str:
    """The full path of a program that Debian leaves out of PATH, such as pg_amcheck.

    Raises:
        ToolMissing: no installed version of PostgreSQL has it.
    """
    try:
        return programs.find(name, ADVICE)
    except ToolMissing:
        beside = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
        newest = max(beside, key=lambda path: float(path.parts[-3]), default=None)
        if newest is None:
            raise
        return str(newest)


def _plain(line: str) -> str:
    for mark in ("error: ", "ERROR:  ", "ERROR: "):
        line = line.rpartition(mark)[2]
    return line.rstrip(".")
