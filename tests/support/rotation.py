"""Both colours under load on one file of secrets, to rotate them."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from mina_ops.cli import main
from mina_ops.demo.processes import Server
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.secrets import env_file as secret_file
from tests.operator.database.conftest import ask, run
from tests.support.hosts import Hosts

TOKEN = "mina_the-operators-old-token"
# Before 24, gunicorn cuts connections that it has not read from when it is reloaded.
RELOADS_CUT = int(version("gunicorn").split(".")[0]) < 24
# Mina's own worker class, where there is one that runs it.
WORKER = "eventlet" if RELOADS_CUT else "gthread"


@dataclass
class Rig:
    """Both colours on one file of secrets, one database and one Redis."""

    folder: Path
    file: Path
    database: Database
    redis_port: int
    hosts: list[Server]
    login: str

    def rotate(self, *arguments: str) -> Result:
        """Type `mina-ops secrets rotate`."""
        return CliRunner().invoke(
            main,
            ["--config", str(self.folder / "mina-ops.toml"), "secrets", "rotate", *arguments],
            catch_exceptions=False,
        )

    def secrets(self) -> dict[str, str]:
        """What the file holds now."""
        return secret_file.read(self.file)


@contextmanager
def standing_rig(
    tmp_path: Path,
    database_url: str,
    own_redis: Server,
    start_host: Hosts,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    """A rig, with its roles and hosts; all of it goes afterwards."""
    admin = parse(database_url)
    login = f"app_{admin.url.database}"
    run(admin, f"CREATE ROLE {login} LOGIN PASSWORD 'old'; CREATE TABLE things (n int);")
    run(admin, f"GRANT CREATE ON SCHEMA public TO {login}")
    run(admin, f"ALTER TABLE things OWNER TO {login}; ALTER ROLE {login} SET work_mem = '5MB';")
    with redis.Redis(port=own_redis.port) as client:
        client.execute_command("ACL SETUSER mina on >old ~* &* +@all")
    file = tmp_path / "secrets.env"
    app_url = admin.url.set(username=login, password="old").render_as_string(hide_password=False)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    file.write_text(
        "# what the app starts with\nOTHER=kept\nSECRET_KEY=old-key\n"
        f"MINA_OPS_ADMIN_TOKENS=ops:{digest}\nDATABASE_URL={app_url}\n"
        f"REDIS_URL=redis://mina:old@127.0.0.1:{own_redis.port}/0\nOPENAI_API_KEY=theirs\n"
    )
    file.chmod(0o600)
    (tmp_path / "token").write_text(TOKEN + "\n")
    hosts = [
        start_host(
            "tests.operator.secrets.host:app",
            worker=WORKER,
            threads=8,
            environment={"SECRETS_FILE": str(file), "ENVIRONMENT": colour},
        )
        for colour in ("blue", "green")
    ]
    blue, green = hosts
    script = reload_script(tmp_path, hosts)
    (tmp_path / "mina-ops.toml").write_text(
        f'public.url = "{blue.url}"\ntoken.file = "token"\ntraffic.driver = "command"\n'
        f'[colours.blue]\nurl = "{blue.url}"\n[colours.green]\nurl = "{green.url}"\n'
        f'[incident.secrets]\nfile = "secrets.env"\nreload = ["{script}", "{{colour}}"]\n'
        "settle_seconds = 60\n"
    )
    monkeypatch.setenv("ADMIN_DATABASE_URL", admin.url.render_as_string(hide_password=False))
    yield Rig(tmp_path, file, admin, own_redis.port, hosts, login)
    for host in hosts:
        host.stop()
    for (role,) in ask(admin, f"SELECT rolname FROM pg_roles WHERE rolname LIKE '{login}%'"):
        run(admin, f"DROP OWNED BY {role}")
        run(admin, f"DROP ROLE {role}")


def reload_script(folder: Path, hosts: list[Server], kill: str = "exit_at=0; parent=0") -> Path:
    """The command that reloads a colour; it may kill who called it, the n-th time."""
    blue, green = hosts
    script, count = folder / "reload.sh", folder / "count"
    count.write_text("")
    script.write_text(
        f"#!/bin/sh\n{kill}\necho x >> {count}\n"
        f"[ $(wc -l < {count}) -eq $exit_at ] && kill -9 $parent && exit 1\n"
        f"case $1 in blue) kill -HUP {blue.pid};; green) kill -HUP {green.pid};; esac\n"
    )
    script.chmod(0o755)
    return script


@dataclass
class Load:
    """Steady requests to both colours with cookies from before."""

    hosts: list[Server]
    done: threading.Event = field(default_factory=threading.Event)
    requests: int = 0
    cut: int = 0
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self.cookies = {host.port: request(host, "POST", "/login/ana")[1] for host in self.hosts}
        self.threads = [threading.Thread(target=self._run, args=(host,)) for host in self.hosts]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()

    def _run(self, host: Server) -> None:
        old = rolling = self.cookies[host.port]
        other = next(one for one in self.hosts if one is not host)
        while not self.done.wait(0.02):
            self._ask(host, "/me", old)
            rolling = self._ask(host, "/me", rolling) or rolling
            # A cookie that one colour signed must be good at the other, at every moment.
            self._ask(other, "/me", rolling)
            self._ask(host, "/data", "")

    def _ask(self, host: Server, path: str, cookie: str) -> str:
        self.requests += 1
        try:
            status, new_cookie = self._twice(host, path, cookie)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f"{host.url}{path}: {error!r}")
            return ""
        if status != 200:
            self.failures.append(f"{host.url}{path}: {status}")
        return new_cookie

    def _twice(self, host: Server, path: str, cookie: str) -> tuple[int, str]:
        """A request, again if it was cut off without any answer, as nginx repeats it."""
        try:
            return request(host, "GET", path, Cookie=cookie)
        except (ConnectionResetError, http.client.RemoteDisconnected):
            self.cut += 1
            return request(host, "GET", path, Cookie=cookie)


def request(host: Server, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and cookie of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=45)
    try:
        connection.request(method, path, headers={**headers, "Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, (answer.headers.get("Set-Cookie") or "").partition(";")[0]
    finally:
        connection.close()


def accepted(host: Server, token: str) -> bool:
    """Whether an instance takes an admin token."""
    return request(host, "GET", "/admin/drain", Authorization=f"Bearer {token}")[0] == 200
