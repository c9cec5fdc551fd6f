"""PostgreSQL's own programs against a database, and what they say when they fail."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mina_ops.errors import ToolMissing
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import quoted
from mina_ops.operator.system import programs

ADVICE = "Install PostgreSQL's client programs (Debian: postgresql-client)."
RUN_SECONDS = 6 * 3600.0
_REFUSED_OPTIONS = "unsupported startup parameter"
# Where distributions keep the programs of several releases side by side.
BESIDE = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_OLD_DUMP = re.compile(r"server version: (?P<server>\S+); (?P<program>\w+) version: (?P<own>\S+)")
_OLD_RESTORE = re.compile(r"(?P<program>\w+): error: unsupported version \((?P<format>[\d.]+)\)")
# Which release began to write each format of archives. Source: PostgreSQL's pg_backup_archiver.h.
_FORMATS = {"1.15": "16", "1.16": "17"}


def run(
    database: Database,
    argv: Sequence[str | Path],
    *,
    timeout_seconds: float = RUN_SECONDS,
    search_path: Sequence[str] = (),
) -> programs.Result:
    """Run pg_dump, pg_restore, psql or pg_amcheck against a database; its code is not judged.

    Where the one on PATH is too old for the server or the archive, the installed ones of other
    releases are tried.

    Args:
        search_path: schemas to look in, where nobody wrote in them whom the operator distrusts.

    Raises:
        ToolMissing: it is not installed.
    """
    environment = database.libpq()
    if search_path:
        path = ",".join(map(quoted, search_path)).replace("\\", "\\\\").replace(" ", "\\ ")
        environment["PGOPTIONS"] = f"-c search_path={path}"
    result = _run(argv, environment, timeout_seconds)
    if _REFUSED_OPTIONS in result.stderr:
        # A pooler. These programs pin the search path themselves before they ask anything.
        result = _run(argv, {**environment, "PGOPTIONS": ""}, timeout_seconds)
    return result


def offline(argv: Sequence[str | Path], timeout_seconds: float = RUN_SECONDS) -> programs.Result:
    """Run one that asks no server, such as `pg_restore --list`; else as `run`."""
    return _run(argv, {}, timeout_seconds)


def _run(
    argv: Sequence[str | Path], environment: Mapping[str, str], timeout_seconds: float
) -> programs.Result:
    name = str(argv[0])
    there: list[str | Path] = [programs.find(name, ADVICE), *_of_other_releases(name)]
    for program in there:
        result = programs.run(
            [program, *argv[1:]],
            timeout_seconds=timeout_seconds,
            # English, so that its words can be read here.
            environment={**environment, "LC_ALL": "C"},
        )
        if not is_too_old(result):
            break
    return result


def said(result: programs.Result) -> str:
    """A program's own words: the lines that say what failed, without its own name before each."""
    if old := _too_old(result):
        return old
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
        newest = list(_of_other_releases(name))[-1:]
        if not newest:
            raise
        return str(newest[0])


def _of_other_releases(name: str) -> Iterator[Path]:
    """That program of each release that is installed side by side, oldest first."""
    found = [
        folder / name
        for pattern in BESIDE
        for folder in Path("/").glob(pattern.lstrip("/"))
        if (folder / name).is_file()
    ]
    yield from sorted(found, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])


def is_too_old(result: programs.Result) -> bool:
    """Whether a program failed since it is older than the server or the archive."""
    return bool(_too_old(result))


def _too_old(result: programs.Result) -> str:
    """What to install, if a program is older than the server or the archive; else ""."""
    if result.ok:
        return ""
    if found := _OLD_DUMP.search(result.stderr):
        wanted = found["server"].partition(".")[0]
        return (
            f"the server is PostgreSQL {found['server']}, and {found['program']} here is "
            f"{found['own']}, which is too old for it; {_install(wanted)}"
        )
    if found := _OLD_RESTORE.search(result.stderr):
        wanted = _FORMATS.get(found["format"], "a newer release")
        return (
            f"{found['program']} here is older than the pg_dump that made it (PostgreSQL {wanted} "
            f"or newer); {_install(wanted)}"
        )
    return ""


def _install(release: str) -> str:
    package = f"postgresql-client-{release}" if release.isdigit() else "its postgresql-client"
    return (
        f"type `apt-get install {package}` (Debian and Ubuntu, or PostgreSQL's own packages), or "
        "put the folder with that release's programs first in PATH"
    )


def _plain(line: str) -> str:
    for label in ("error: ", "ERROR:  ", "ERROR: "):
        line = line.rpartition(label)[2]
    return line.rstrip(".")
