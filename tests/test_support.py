"""The fixtures themselves: a test helper that lies makes every test lie."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import psycopg
import pytest
import redis

from mina_ops.demo.processes import Server
from mina_ops.errors import ToolMissing
from tests.support.hosts import Hosts
from tests.support.needs import available_workers, need, need_module
from tests.support.postgres import Postgres
from tests.support.wait import eventually

pytestmark = pytest.mark.once

HELLO = "tests.support.hello:app"


def _not_there() -> Path:
    raise ToolMissing("sextant is not installed.")


def test_eventually_returns_the_first_true_value() -> None:
    values = iter([0, "", None, "found"])
    assert eventually(lambda: next(values), interval=0) == "found"


def test_eventually_gives_up_and_tells_the_last_value() -> None:
    with pytest.raises(AssertionError, match=r"no luck within 0\.04 s; last: 0"):
        eventually(lambda: 0, 0.01, "no luck", interval=0.001)


def test_eventually_passes_on_what_it_was_not_told_to_ignore() -> None:
    answers = iter([OSError("not yet"), ValueError("a defect")])

    def ask() -> bool:
        raise next(answers)

    with pytest.raises(ValueError, match="a defect"):
        eventually(ask, ignoring=(OSError,), interval=0)


def test_a_missing_program_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="sextant"):
        need(_not_there)


def test_a_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="sextant"):
        need(_not_there)


def test_a_missing_module_skips_on_a_laptop_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        need_module("no_such_module", "advice")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(ModuleNotFoundError):
        need_module("no_such_module", "advice")


@pytest.mark.parametrize("name", ["REDIS_URL", "DATABASE_URL", "ENVIRONMENT", "APP_VERSION"])
def test_no_setting_of_the_developers_shell_reaches_a_test(name: str) -> None:
    assert name not in os.environ


def test_the_shared_redis_is_empty_for_each_test(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_the_shared_redis_is_empty_after_another_test(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_an_own_redis_is_another_one_than_the_shared(
    own_redis: Server, redis_server: Server
) -> None:
    own_redis.kill()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ping()


def test_each_test_gets_an_empty_database(database_url: str, postgres: Postgres) -> None:
    assert database_url != postgres.new_database()
    url = database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE users (id int)")
        row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None
    assert url.endswith(row[0])


@pytest.mark.parametrize("worker", available_workers())
def test_a_host_runs_under_every_worker_that_this_environment_has(
    start_host: Hosts, worker: str
) -> None:
    host = start_host(HELLO, worker=worker, environment={"GREETING": "good day"})
    assert httpx.get(host.url).text == "good day"
    green = {"gevent": "gevent", "gevent-websocket": "gevent", "eventlet": "eventlet"}
    assert httpx.get(f"{host.url}/mode").text == green.get(worker, "threading")


def test_the_socketio_server_runs_in_a_green_mode_too(start_host: Hosts) -> None:
    host = start_host(HELLO, worker="socketio.run", environment={"ASYNC_MODE": "gevent"})
    assert httpx.get(f"{host.url}/mode").text == "gevent"


def test_two_hosts_run_beside_each_other(start_host: Hosts) -> None:
    blue = start_host(HELLO, environment={"GREETING": "blue"})
    green = start_host(HELLO, environment={"GREETING": "green"})
    assert [httpx.get(host.url).text for host in (blue, green)] == ["blue", "green"]
