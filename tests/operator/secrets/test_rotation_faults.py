"""A rotation that dies, or whose servers restart, after any of its steps locks nobody out.

After each step: kill -9, or a restart of Redis or PostgreSQL, or both; then `--resume`, or
`--undo`. Meanwhile both colours log in to both servers, through a pool and anew, and a cookie
from before stays good. docs/secrets.md is what came of a whole run (`--long`, WRITE_DOCS=1).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import traceback
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
from mina_ops.operator.database.connection.connect import parse
from mina_ops.operator.secrets import database_role, env_file, redis_user
from tests.operator.secrets.faults import Effects
from tests.support.needs import need
from tests.support.postgres import Postgres, postgres_folder, running_postgres
from tests.support.wait import eventually

PAGE = Path(__file__).parents[3] / "docs" / "secrets.md"
TOKEN = "mina_the-operators-old-token"
LOCKED_OUT = re.compile(
    r"WRONGPASS|NOAUTH|invalid username|authentication failed|not permitted to log|does not exist"
)
COLUMNS = {
    "killed, --resume": ("", "--resume"),
    "killed, --undo": ("", "--undo"),
    "killed, Redis restarts, --resume": ("redis", "--resume"),
    "killed, Redis restarts, --undo": ("redis", "--undo"),
    "killed, PostgreSQL restarts, --resume": ("postgres", "--resume"),
    "killed, PostgreSQL restarts, --undo": ("postgres", "--undo"),
    "Redis restarts as it goes on": ("redis", ""),
    "PostgreSQL restarts as it goes on": ("postgres", ""),
}


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
    locked_out: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

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
        self.cookies = {port: _request(port, "POST", "/login/ana")[2] for port in self.ports}

    def keep_logging_in(self) -> None:
        """What the app's users do throughout: a session from before, and fresh data."""
        while not self.done.wait(0.02):
            for port, cookie in list(self.cookies.items()):
                try:
                    status, body, _ = _request(port, "GET", "/me", cookie)
                    if status == 401:
                        self.locked_out.append(f"{port} forgot the session")
                    status, body, _ = _request(port, "GET", "/data", cookie)
                except (OSError, http.client.HTTPException):
                    continue  # the restarted server took longer than a request
                self.tried += 1
                if status == 500 and LOCKED_OUT.search(body):
                    self.locked_out.append(f"{port}: {body}")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
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


SHORT = [
    ("killed, --resume", "reloaded blue", 2),
    ("killed, Redis restarts, --undo", "Redis: CONFIG REWRITE", 1),
    ("killed, PostgreSQL restarts, --undo", "PostgreSQL: ALTER ROLE ... NOLOGIN", 1),
    ("Redis restarts as it goes on", "wrote the file", 2),
]


@pytest.mark.integration
@pytest.mark.parametrize(("column", "step", "occurrence"), SHORT)
def test_a_fault_after_a_step_locks_nobody_out(
    site: Site, column: str, step: str, occurrence: int
) -> None:
    labels = _steps(site)
    at = [number for number, label in enumerate(labels, 1) if label == step]
    _case(site, column, at[occurrence - 1 if occurrence > 0 else occurrence], labels)


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_no_fault_after_any_step_locks_anybody_out(site: Site) -> None:
    labels = _steps(site)
    cells = {
        (number, column): _case(site, column, number, labels)
        for number in range(1, len(labels) + 1)
        for column in COLUMNS
    }
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(_page(PAGE.read_text(), labels, cells))


def _steps(site: Site) -> list[str]:
    """The effects of a whole rotation, in their order; it is run for that."""
    _, labels = _in_a_child(site, 0, "", "--all", "--force")
    assert len(labels) > 20
    return labels


def _case(site: Site, column: str, number: int, labels: list[str]) -> str:
    server, way = COLUMNS[column]
    where = f"{column}, after step {number} ({labels[number - 1]})"
    before, tried = site.secrets(), site.tried
    is_over = False
    site.log_in()
    died, _ = _in_a_child(site, number, "" if way else server, "--all", "--force")
    if way:
        assert died, where
        if server:
            site.restart(server)
        told = site.rotate(way, "--force")
        # Killed before the plan was on the disk, or after it was gone: nothing is left to do.
        is_over = "no rotation to go on with" in told.output
        assert told.exit_code == 0 or is_over, (where, told.output)
    after = site.secrets()
    came = "as before" if after == before else "rotated"
    _only_these_work(site, before if came == "as before" else after, after, before, where)
    eventually(lambda: site.tried > tried + 4, 20)
    assert site.locked_out == [], where
    assert not list(site.folder.rglob("*.rotation")), where
    assert (site.folder / "secrets.env").is_symlink(), where
    if way == "--undo" and not is_over:
        assert came == "as before", where
    return came


def _only_these_work(
    site: Site, good: dict[str, str], after: dict[str, str], before: dict[str, str], where: str
) -> None:
    assert redis_user.works(good["REDIS_URL"]), where
    assert database_role.can_log_in(parse(good["DATABASE_URL"])), where
    if after != before:
        assert not redis_user.works(before["REDIS_URL"]), where
        assert not database_role.can_log_in(parse(before["DATABASE_URL"])), where
    token = (site.folder / "token").read_text().strip()
    for port in site.ports:
        status = _request(port, "GET", "/admin/drain", authorization=f"Bearer {token}")[0]
        assert status == 200, where


def _in_a_child(site: Site, number: int, server: str, *arguments: str) -> tuple[bool, list[str]]:
    """Rotate in a forked process; whether it was killed, and the effects of one that was not.

    After its effect of that number it dies, or waits until `server` was restarted.
    """
    told = site.folder / "effects.json"
    told.unlink(missing_ok=True)
    asks, asked = os.pipe()
    hears, answers = os.pipe()

    def wait_for_restart() -> None:
        os.write(asked, b"x")
        os.read(hears, 1)

    pid = os.fork()
    if pid == 0:
        try:
            effects = Effects(number, wait_for_restart if server else None)
            effects.install()
            done = site.rotate(*arguments)
            result = {"labels": effects.labels, "code": done.exit_code, "output": done.output}
            told.write_text(json.dumps(result))
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(asked)
    if server and os.read(asks, 1):
        site.restart(server)
        os.write(answers, b"x")
    status = os.waitpid(pid, 0)[1]
    for descriptor in (asks, hears, answers):
        os.close(descriptor)
    if status == 9:
        return True, []
    assert told.exists(), "see the traceback on standard error"
    result = json.loads(told.read_text())
    assert result["code"] == 0, result["output"]
    return False, result["labels"]


def _page(text: str, labels: list[str], cells: dict[tuple[int, str], str]) -> str:
    rows = [f"| step | {' | '.join(COLUMNS)} |", f"| --- |{' --- |' * len(COLUMNS)}"]
    for number, label in enumerate(labels, 1):
        shown = " | ".join(cells[number, column] for column in COLUMNS)
        rows.append(f"| {number}. {label} | {shown} |")
    start_, end = "<!-- faults -->", "<!-- end of faults -->"
    head, _, rest = text.partition(start_)
    table = "\n".join(rows)
    return f"{head}{start_}\n\n{table}\n\n{end}{rest.partition(end)[2]}"


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
            words = [file, str(port), str(other)]
            return start(
                "host", [*argv, *words], folder, port=port, environment=where, ready=_serves
            )

        return on_free_port(on_green)

    with on_free_port(on) as server:
        yield server, (server.port, green[0])


def _serves(server: Server) -> bool:
    return _request(server.port, "GET", "/api/health/ready")[0] == 200


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


def _request(
    port: int, method: str, path: str, cookie: str = "", authorization: str = ""
) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    headers = {"Cookie": cookie, "Authorization": authorization, "Connection": "close"}
    try:
        connection.request(method, path, headers={k: v for k, v in headers.items() if v})
        answer = connection.getresponse()
        body = answer.read().decode()
        return answer.status, body, (answer.headers.get("Set-Cookie") or "").partition(";")[0]
    finally:
        connection.close()
