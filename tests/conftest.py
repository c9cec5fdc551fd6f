"""Fixtures that every folder of tests shares: real servers, host processes, programs.

A test that uses one of the servers is marked `integration` by itself, and runs after the unit
tests; those of tests/scripts run last.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest
import redis

from mina_ops.app import extension
from mina_ops.app.runtime import Runtime
from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_redis
from mina_ops.operator.system import patience
from mina_ops.operator.system.signals import unwinding
from tests.support import order
from tests.support.hosts import Hosts, running_hosts
from tests.support.mariadb import MariaDB, mariadb_program, running_mariadb
from tests.support.needs import need
from tests.support.postgres import Postgres, postgres_folder, running_postgres
from tests.support.valkey import valkey_program
from tests.support.wait import eventually

_SERVERS = {
    "redis_server",
    "valkey_server",
    "mariadb",
    "redis_url",
    "own_redis",
    "nginx_binary",
    "haproxy_binary",
    "postgres",
    "database_url",
    "own_postgres",
    "chromium",
    "node",
    "start_host",
}
# What a developer's shell may hold and a host or a command of ours would obey.
_OURS = ("MINA_OPS_", "MINA_", "OPENAI_", "GUNICORN_", "FLASK_", "REDIS_URL", "DATABASE_URL")
_OURS += ("ENVIRONMENT", "APP_VERSION", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "ASYNC_MODE")


# A machine that builds, tests and measures at once is no reason for a test to fail.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run what takes minutes: `long`")


def pytest_configure() -> None:
    # What a shell starts in the background ignores Ctrl-C, and so would all that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        left_out = [item for item in items if _has(item, "long") or _is_tried_with_newer(item)]
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
    for item in items:
        if _SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("integration")
        if "tests/scripts/" in item.path.as_posix():
            item.add_marker("scripts")
    if hasattr(config, "workerinput"):
        items.sort(key=order.rank)
    else:
        # Quick answers first; the sort is stable within each kind.
        items.sort(key=lambda item: (_has(item, "scripts"), _has(item, "integration")))


def _is_tried_with_newer(item: pytest.Item) -> bool:
    """Whether it runs gevent under old versions: Mina's pins have eventlet for that, and gevent is
    tried with the newest versions.
    """
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return "gevent" in parameters.values() and Path(sys.prefix).name == ".venv-compat"


def _has(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Nothing, in the place of pytest-flask's fixture of that name.

    It keeps one request open around a test, and what an app holds in `flask.g`, such as who is
    logged in, would go from one request of the test to the next.
    """


@pytest.fixture(autouse=True)
def _apps_end_with_their_test() -> Iterator[None]:
    """Close what a test made in this process, but not what its module's fixtures made before.

    Else the threads of some hundred apps go on beside all later tests, and take half a processor.
    """
    made: list[Runtime] = []

    def note(*arguments: Any) -> Runtime:
        made.append(build(*arguments))
        return made[-1]

    # Not by `monkeypatch`: what a test patches with it is put back before its apps are closed.
    build, extension._build = extension._build, note
    yield
    extension._build = build
    for runtime in made:
        runtime.close()


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left_over() -> Iterator[None]:
    with unwinding():
        yield
    eventually(lambda: not _left_over(), 5, f"tests must stop what they start: {_left_over()}")


def _left_over() -> list[str]:
    left = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            left.append(" ".join(process.cmdline()))
    # Python's own, which ends with the interpreter.
    return [command for command in left if command and "resource_tracker" not in command]


@pytest.fixture(scope="session", autouse=True)
def _environment_of_nobody() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(_OURS):
                patch.delenv(name)
        # Nobody is called silent who is only slow; a test in which somebody hangs sets 1 again.
        patch.setenv(patience.VARIABLE, "10")
        yield


@pytest.fixture(autouse=True)
def _cache_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags that an earlier test left in the user's cache would come back with the shared Redis."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Redis for the whole run; what it holds is anyone's. See `redis_url`."""
    need(programs.redis_server)
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """The URL of the shared Redis, emptied for this test."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis of this test alone, which it may kill, pause or fill."""
    need(programs.redis_server)
    with start_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Valkey for the whole run; what it holds is anyone's."""
    with start_redis(tmp_path_factory.mktemp("valkey"), program=need(valkey_program)) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """One MariaDB for the whole run; ask it for a `new_database()`."""
    need(mariadb_program)
    with running_mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def nginx_binary() -> Path:
    """The nginx that `mina_ops.demo.servers.start_nginx` runs."""
    return need(programs.nginx)


@pytest.fixture(scope="session")
def haproxy_binary() -> Path:
    """An installed HAProxy."""
    return need(lambda: programs.installed("haproxy", "Install Debian's haproxy."))


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A Chromium; as root it needs --no-sandbox."""
    return need(lambda: programs.installed("chromium", "Install Debian's chromium."))


@pytest.fixture(scope="session")
def node() -> Path:
    """Node.js, for stock JavaScript clients."""
    return need(programs.node)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the whole run; ask it for a `new_database()`."""
    need(postgres_folder)
    with running_postgres() as server:
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """The SQLAlchemy URL of an empty PostgreSQL database of this test alone."""
    return postgres.new_database()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this test alone, which it may kill or pause."""
    need(postgres_folder)
    with running_postgres() as server:
        yield server


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[Hosts]:
    """Starts host apps as processes, under any supported server; see `Hosts.__call__`."""
    yield from running_hosts(tmp_path / "hosts")
