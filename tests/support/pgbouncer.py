"""The real pgbouncer before a PostgreSQL, with its stock limits on what a login may ask for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, on_free_port, start
from tests.support.needs import need
from tests.support.postgres import as_ordinary_user


@contextmanager
def running_pgbouncer(port: int, mode: str = "transaction") -> Iterator[int]:
    """The port of a pgbouncer before the PostgreSQL at `port`, for all its databases.

    Args:
        mode: when a client gives its server session back: `session`, `transaction`, `statement`.
    """
    binary = need(lambda: programs.installed("pgbouncer", "Install Debian's pgbouncer."))
    folder = Path(tempfile.mkdtemp(prefix="mina-pgbouncer-"))
    try:
        user = as_ordinary_user(folder)  # it refuses to run as root
        users = folder / "users.txt"
        users.write_text('"mina" ""\n"app_owner" ""\n')

        def on(listening: int) -> Server:
            file = folder / "pgbouncer.ini"
            file.write_text(
                f"[databases]\n* = host={HOST} port={port}\n[pgbouncer]\nlisten_addr = {HOST}\n"
                f"listen_port = {listening}\nunix_socket_dir =\nauth_type = trust\n"
                f"auth_file = {users}\npool_mode = {mode}\n"
            )
            argv = [*user, binary, file]
            return start(
                "pgbouncer", argv, folder, port=listening, scheme="postgresql", ready=_answers
            )

        with on_free_port(on) as server:
            yield server.port
    finally:
        shutil.rmtree(folder)


def _answers(server: Server) -> bool:
    try:
        url = f"postgresql://mina@{HOST}:{server.port}/postgres"
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
