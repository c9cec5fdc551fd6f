"""A throwaway PostgreSQL server, also when tests run as root, which PostgreSQL refuses."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.errors import ToolMissing

# No durability: a crashed test server is thrown away.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass
class Postgres:
    """A running server; `url()` names its first database."""

    server: Server
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def url(self, database: str = "postgres", scheme: str = "postgresql+psycopg") -> str:
        """The SQLAlchemy URL of a database; `scheme="postgresql"` for psql and pg_dump."""
        return f"{scheme}://mina@{HOST}:{self.server.port}/{database}"

    def new_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(scheme="postgresql"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def postgres_folder() -> Path:
    """The folder with the newest installed `initdb` and `postgres`.

    Raises:
        ToolMissing: no PostgreSQL server is installed.
    """
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda path: float(path.parts[-3]), default=None)
    if newest is None:
        raise ToolMissing("PostgreSQL's server is not installed. Install Debian's postgresql.")
    return newest.parent


@contextmanager
def running_postgres(binaries: Path | None = None) -> Iterator[Postgres]:
    """A PostgreSQL with one superuser `mina`, TCP on loopback only, gone at the end.

    Args:
        binaries: the folder with its programs; default: `postgres_folder()`.

    Raises:
        ToolMissing: no PostgreSQL server is installed.
    """
    binaries = binaries or postgres_folder()
    folder = Path(tempfile.mkdtemp(prefix="mina-postgres-"))
    try:
        user = as_ordinary_user(folder)
        if user and not _may_all_enter(binaries):
            # Such as a clone in a folder of root's own.
            shutil.copytree(binaries.parent, folder / "programs", symlinks=True)
            binaries = folder / "programs" / binaries.name
        data = folder / "data"
        initdb: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "mina", "-A", "trust"]
        initdb += ["--no-sync", "-E", "UTF8", "--locale", "C"]
        subprocess.run([*user, *initdb], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        options = [f"listen_addresses={HOST}", "unix_socket_directories=", *_FAST]
        argv = [*user, binaries / "postgres", "-D", data]
        argv += [part for option in options for part in ("-c", option)]

        def start_on(port: int) -> Server:
            return start(
                "postgres",
                [*argv, "-p", str(port)],
                folder,
                port=port,
                scheme="postgresql",
                ready=_answers,
                # PostgreSQL's "fast" end; with TERM it waits for the last client to go.
                stop_signal=signal.SIGINT,
            )

        with on_free_port(start_on) as server:
            yield Postgres(server)
    finally:
        shutil.rmtree(folder)


def as_ordinary_user(folder: Path) -> list[str | Path]:
    """The prefix of a command that runs it as an ordinary user, who owns `folder`."""
    if os.geteuid() != 0:
        return []
    known = {entry.pw_name for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in known else "nobody"
    entry = pwd.getpwnam(name)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


def _may_all_enter(folder: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _answers(server: Server) -> bool:
    try:
        with psycopg.connect(f"postgresql://mina@{HOST}:{server.port}/postgres", connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
