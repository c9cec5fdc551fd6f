"""Both colours, PostgreSQL and Redis as a rotation finds them, with users who log in throughout."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from mina_ops.cli import main
from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.operator.secrets import env_file
from tests.support.needs import need
from tests.support.postgres import Postgres, postgres_folder, running_postgres

TOKEN = "mina_the-operators-old-token"
LOCKED_OUT = re.compile(
    r"WRONGPASS|NOAUTH|invalid username|authentication failed|not permitted to log|does not exist"
)


@dataclass
class Site:
    """Two colours, a PostgreSQL that asks for passwords, a Redis with a configuration file."""

    folder: Path
    postgres: Postgres
    redis: Server
    host: Server
    ports: tuple[int, int]
    cookies: dict[int, str] = field(default_factory=dict)
    tried: int = 0
    is_rotated: bool = False
    locked_out: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    # Held while a request runs: a process that is forked meanwhile could inherit a lock for ever.
    asking: threading.Lock = field(default_factory=threading.Lock)

    def rotate(self, *arguments: str) -> Result:
        """Type `mina-ops secrets rotate`."""
        command = ["--config", str(self.folder / "mina-ops.toml"), "secrets", "rotate", *arguments]
        return CliRunner().invoke(main, command, catch_exceptions=False)

    def secrets(self) -> dict[str, str]:
        return env_file.read(self.folder / "secrets.env")

    def restart(self, which: str) -> None:
        """End a server and start it again, on its port and with its files."""
        old: Server = getattr(self, which) if which == "redis" else self.postgres.server
        old.stop()
        new = start(old.name, old.argv, old.log.parent, port=old.port, scheme="tcp", ready=_listens)
        new.stop_signal = old.stop_signal
        if which == "redis":
            self.redis = new
        else:
            self.postgres.server = new

    def log_in(self) -> None:
        """Sessions from before what comes; those of three rotations ago may be over."""
        self.cookies = {port: request(port, "POST", "/login/ana")[2] for port in self.ports}

    def keep_logging_in(self) -> None:
        """What the app's users do throughout: a session from before, and fresh data."""
        while not self.done.wait(0.02):
            for port, cookie in list(self.cookies.items()):
                with self.asking:
                    self._ask(port, cookie)

    def _ask(self, port: int, cookie: str) -> None:
        try:
            if request(port, "GET", "/me", cookie)[0] == 401:
                self.locked_out.append(f"{port} forgot the session")
            status, body, _ = request(port, "GET", "/data", cookie)
        except (OSError, http.client.HTTPException):
            return  # the restarted server took longer than a request
        self.tried += 1
        if status == 500 and LOCKED_OUT.search(body):
            self.locked_out.append(f"{port}: {body}")


@contextmanager
def standing_site() -> Iterator[Site]:
    """A site; all of it goes afterwards."""
    need(postgres_folder)
    folder = Path(tempfile.mkdtemp(prefix="mina-rotation-"))
    with running_postgres() as postgres, _redis(folder) as redis_server:
        _ask_for_passwords(postgres)
        file = folder / "secrets.env"
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        # The app's file is a link, as a deploy makes it.
        real = folder / "releases" / "secrets.env"
        real.parent.mkdir()
        real.write_text(
            f"SECRET_KEY=old-key\nMINA_OPS_ADMIN_TOKENS=ops:{digest}\n"
            f"DATABASE_URL=postgresql+psycopg://app:old@{HOST}:{postgres.server.port}/postgres\n"
            f"REDIS_URL=redis://:old@{HOST}:{redis_server.port}/0\n"
        )
        real.chmod(0o600)
        file.symlink_to(real)
        (folder / "token").write_text(TOKEN + "\n")
        with _host(folder, file) as (host, ports):
            _settings(folder, host, ports)
            found = Site(folder, postgres, redis_server, host, ports)
            users = threading.Thread(target=found.keep_logging_in)
            users.start()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ADMIN_DATABASE_URL", postgres.url())
                yield found
            found.done.set()
            users.join()
            found.redis.stop()
            found.postgres.server.stop()
    shutil.rmtree(folder)


def _listens(server: Server) -> bool:
    if server.name == "postgres":
        try:
            url = f"postgresql://mina@{HOST}:{server.port}/postgres"
            with psycopg.connect(url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False
    with socket.create_connection((HOST, server.port), timeout=2) as link:
        link.sendall(b"PING\r\n")
        return link.recv(64).startswith((b"+PONG", b"-NOAUTH"))


@contextmanager
def _redis(folder: Path) -> Iterator[Server]:
    home = folder / "redis"
    home.mkdir()
    binary = need(programs.redis_server)

    def on(port: int) -> Server:
        conf = home / "redis.conf"
        conf.write_text(f'port {port}\nbind {HOST}\nsave ""\nrequirepass old\ndir {home}\n')
        return start("redis", [binary, conf], home, port=port, scheme="redis", ready=_listens)

    with on_free_port(on) as server:
        yield server


def _ask_for_passwords(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url(scheme="postgresql"), autocommit=True) as connection:
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None
        lines = "host all mina 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        Path(row[0]).write_text(lines)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE ROLE app LOGIN PASSWORD 'old'")
        connection.execute("CREATE TABLE things (n int)")
        connection.execute("ALTER TABLE things OWNER TO app")


@contextmanager
def _host(folder: Path, file: Path) -> Iterator[tuple[Server, tuple[int, int]]]:
    green: list[int] = []

    def on(port: int) -> Server:
        def on_green(other: int) -> Server:
            green[:] = [other]
            argv = [sys.executable, "-m", "tests.operator.secrets.reloading_host"]
            where = {"PYTHONPATH": str(Path(__file__).parents[3])}
            words: list[str | Path] = [file, str(port), str(other)]
            return start(
                "host", [*argv, *words], folder, port=port, environment=where, ready=_serves
            )

        return on_free_port(on_green)

    with on_free_port(on) as server:
        yield server, (server.port, green[0])


def _serves(server: Server) -> bool:
    return request(server.port, "GET", "/api/health/ready")[0] == 200


def _settings(folder: Path, host: Server, ports: tuple[int, int]) -> None:
    script = folder / "reload.sh"
    script.write_text(
        f"#!/bin/sh\ncase $1 in blue) kill -USR1 {host.pid};; green) kill -USR2 {host.pid};; esac\n"
    )
    script.chmod(0o755)
    blue, green = (f"http://{HOST}:{port}" for port in ports)
    (folder / "mina-ops.toml").write_text(
        f'public.url = "{blue}"\ntoken.file = "token"\ntraffic.driver = "command"\n'
        f'[colours.blue]\nurl = "{blue}"\n[colours.green]\nurl = "{green}"\n'
        f'[incident.secrets]\nfile = "secrets.env"\nreload = ["{script}", "{{colour}}"]\n'
        "settle_seconds = 60\nby_hand = []\n"
    )


def request(
    port: int, method: str, path: str, cookie: str = "", authorization: str = ""
) -> tuple[int, str, str]:
    """Status, body and cookie of one request on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    headers = {"Cookie": cookie, "Authorization": authorization, "Connection": "close"}
    try:
        connection.request(method, path, headers={k: v for k, v in headers.items() if v})
        answer = connection.getresponse()
        body = answer.read().decode()
        return answer.status, body, (answer.headers.get("Set-Cookie") or "").partition(";")[0]
    finally:
        connection.close()
