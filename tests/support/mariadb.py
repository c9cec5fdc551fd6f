"""A throwaway MariaDB server on loopback, also when tests run as root."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pymysql  # type: ignore[import-untyped]

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, on_free_port, start

_ADVICE = "Install Debian's mariadb-server-core and mariadb-client-core."
# No durability: a crashed test server is thrown away.
_FAST = ("--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--innodb-buffer-pool-size=8M")


@dataclass
class MariaDB:
    """A running server, whose user `mina` may do everything without a password."""

    server: Server
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"mysql+pymysql://mina@{HOST}:{self.server.port}/{database}"

    def new_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """What a statement gives."""
        link = pymysql.connect(host=HOST, port=self.server.port, user="mina", autocommit=True)
        try:
            with link.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            link.close()


def mariadb_program() -> Path:
    """An installed MariaDB server.

    Raises:
        ToolMissing: there is none.
    """
    programs.installed("mariadb-install-db", _ADVICE)
    return programs.installed("mariadbd", _ADVICE)


@contextmanager
def running_mariadb() -> Iterator[MariaDB]:
    """A MariaDB that listens on loopback alone, gone at the end.

    Raises:
        ToolMissing: no MariaDB server is installed.
    """
    program = mariadb_program()
    folder = Path(tempfile.mkdtemp(prefix="mina-mariadb-"))
    data, first = folder / "data", folder / "first.sql"
    # Of two users that fit, the one with the narrower host is taken: the anonymous one's is.
    first.write_text("CREATE USER mina@localhost;\nGRANT ALL ON *.* TO mina@localhost;\n")
    make = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
    make += ["--auth-root-authentication-method=normal", "--user=root"]
    try:
        subprocess.run(make, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        def start_on(port: int) -> Server:
            argv: list[str | Path] = [program, "--no-defaults", f"--datadir={data}", "--user=root"]
            argv += [f"--bind-address={HOST}", f"--port={port}", f"--socket={folder / 'socket'}"]
            argv += [f"--pid-file={folder / 'pid'}", f"--init-file={first}", *_FAST]
            return start("mariadb", argv, folder, port=port, scheme="mysql", ready=_answers)

        with on_free_port(start_on) as server:
            yield MariaDB(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(server: Server) -> bool:
    try:
        pymysql.connect(host=HOST, port=server.port, user="mina", connect_timeout=2).close()
    except pymysql.MySQLError:
        return False
    return True
