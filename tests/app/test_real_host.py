"""One line in a host like the real Mina, under each server it could run on; nothing breaks."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from mina_ops.demo.processes import Server
from tests.support.hosts import REPOSITORY, Hosts, running_hosts
from tests.support.needs import need_worker
from tests.support.real_host import NAMESPACES, POLICY
from tests.support.stock import StockClients
from tests.support.wait import eventually

pytestmark = pytest.mark.integration
HOST_APP = "tests.support.real_host:serve()"
BEARER = {"Authorization": "Bearer key-of-the-admin"}
DIGEST = hashlib.sha256(b"key-of-the-admin").hexdigest()
WORKERS = ("gthread", "gevent", "eventlet")
THE_HOSTS = """
    CREATE TABLE alembic_version (version_num VARCHAR(32));
    INSERT INTO alembic_version VALUES ('1a2b3c4d5e6f');
    CREATE TABLE flag_audit_logs (id INTEGER);
    INSERT INTO feature_flags VALUES ('dark_mode', 0);
"""
OUR_ERRORS = (
    ("GET", "/admin/flags/nothing", 404),
    ("POST", "/admin/flags", 400),
    ("PUT", "/admin/flags", 405),
    ("PUT", "/admin/drain", 405),
    ("GET", "/api/health/nothing", 404),
    ("POST", "/api/health", 405),
    ("GET", "/api/metrics/errors?window=0", 400),
)


def _start(hosts: Hosts, worker: str, database: Path) -> Server:
    need_worker(worker)
    if worker == "gevent" and find_spec("geventwebsocket"):
        worker = "gevent-websocket"  # the one whose websockets work there
    variables = {
        "DATABASE_URL": f"sqlite:///{database}",
        "MINA_OPS_ADMIN_TOKENS": f"admin:{DIGEST}",
        "MINA_OPS_SIGTERM_GRACE": "1",
    }
    return hosts(HOST_APP, worker=worker, environment=variables)


@pytest.fixture(scope="module", params=WORKERS)
def host(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    """The host with a database; its limiter knows each test by its name."""
    for hosts in running_hosts(folder / request.param):
        yield _start(hosts, request.param, folder / f"{request.param}.db")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the hosts and their databases are."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def browser(request: pytest.FixtureRequest, host: Server) -> Iterator[httpx.Client]:
    """Somebody who asks the host."""
    name = {"X-Visitor": request.node.name}
    with httpx.Client(base_url=host.url, headers=name, timeout=10) as client:
        yield client


def _flag(key: str) -> dict[str, Any]:
    return {"key": key, "enabled": True}


def _statuses(client: httpx.Client, path: str, times: int = 110) -> set[int]:
    return {client.get(path, headers=BEARER).status_code for _ in range(times)}


def test_what_the_host_had_is_as_it_was(browser: httpx.Client) -> None:
    assert browser.get("/").text == "hello"
    assert browser.get("/").headers["Content-Security-Policy"] == POLICY
    for name in ("ops", "flags", "health", "metrics"):
        assert browser.get(f"/own/{name}/").text == f"the host's {name}"
    # Its CSRF guard and its catch-all handler are still those that it had.
    assert browser.post("/form", data={"text": "x"}).json() == {"caught": "CSRFError"}
    assert browser.put("/").json() == {"caught": "MethodNotAllowed"}


def test_its_limiter_counts_its_pages_and_none_of_ours(browser: httpx.Client) -> None:
    for path in ("/api/health/live", "/api/metrics/connections", "/admin/drain", "/admin/flags"):
        assert _statuses(browser, path) == {200}
    assert _statuses(browser, "/api/flags") == {200}
    # Mina's catch-all makes a 500 of the limiter's 429.
    assert _statuses(browser, "/") == {200, 500}


def test_its_guards_let_an_operators_curl_through(browser: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = '{"key": "enable_audio_replay", "enabled": true}'
    set_flag = browser.post("/admin/flags", content=body, headers={**BEARER, **form})
    assert set_flag.status_code == 201, set_flag.text
    assert browser.get("/api/flags").json()["flags"]["enable_audio_replay"] is True
    assert browser.post("/admin/drain", headers=BEARER).status_code == 202
    assert browser.delete("/admin/drain", headers=BEARER).status_code == 200


def test_its_catch_all_makes_no_500_of_our_errors(browser: httpx.Client) -> None:
    for method, path, status in OUR_ERRORS:
        answer = browser.request(method, path, headers=BEARER)
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json", path


def test_its_roles_say_who_may_set_a_flag(browser: httpx.Client) -> None:
    for role, status in (("owner", 201), ("admin", 201), ("member", 403)):
        cookie = browser.get(f"/enter/{role}").headers["Set-Cookie"]
        assert "Secure" in cookie
        logged_in = {"Cookie": cookie.partition(";")[0]}
        answer = browser.post("/admin/flags", json=_flag(f"of_{role}"), headers=logged_in)
        assert answer.status_code == status, answer.text


def test_its_namespaces_stream_and_are_counted(host: Server, browser: httpx.Client) -> None:
    with StockClients() as clients:
        for transport in ("websocket", "polling"):
            client = clients.connect(host.url, transport, namespaces=list(NAMESPACES))
            assert client.transport() == transport
            for namespace in NAMESPACES:
                assert client.call("echo", transport, namespace=namespace) == transport

        def counted() -> bool:
            return bool(browser.get("/api/metrics/connections").json()["active_connections"] == 2)

        eventually(counted, 10, "not both are counted, each as one")


def test_its_tables_and_its_migrations_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "mina.db"
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{path}"}
    flask = [sys.executable, "-m", "flask", "--app", "tests.support.real_host:create_app"]

    def upgrade() -> None:
        subprocess.run([*flask, "mina-ops", "upgrade"], env=environment, cwd=REPOSITORY, check=True)

    upgrade()  # the host makes its own tables on its way
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(THE_HOSTS)
    upgrade()
    with closing(sqlite3.connect(path)) as database:
        flags = database.execute("SELECT key, enabled FROM feature_flags").fetchall()
        versions = database.execute("SELECT * FROM alembic_version").fetchall()
        tables = {row[0] for row in database.execute("SELECT tbl_name FROM sqlite_master")}
    assert (flags, versions) == ([("dark_mode", 0)], [("1a2b3c4d5e6f",)])
    ours = {"mina_ops_audit", "mina_ops_alembic_version"}
    assert tables == {"users", "feature_flags", "flag_audit_logs", "alembic_version"} | ours


@pytest.mark.parametrize("worker", WORKERS)
def test_its_own_sigterm_handler_runs_and_the_process_ends(
    start_host: Hosts, tmp_path: Path, worker: str
) -> None:
    host = _start(start_host, worker, tmp_path / "mina.db")
    host.stop_seconds = 40
    host.stop()
    assert host.process.returncode == 0
    assert "the host's own SIGTERM handler ran" in host.log.read_text()


def test_without_a_database_there_is_no_login_and_a_token_is_enough(start_host: Hosts) -> None:
    host = start_host(HOST_APP, environment={"MINA_OPS_ADMIN_TOKENS": f"admin:{DIGEST}"})
    assert httpx.get(f"{host.url}/admin/flags").status_code == 401
    assert httpx.post(f"{host.url}/admin/flags", json=_flag("dark_mode")).status_code == 401
    assert httpx.get(f"{host.url}/admin/flags", headers=BEARER).status_code == 200
    checks = httpx.get(f"{host.url}/api/health").json()["checks"]
    assert checks["database"]["status"] == "disabled"
