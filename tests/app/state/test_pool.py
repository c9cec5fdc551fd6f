"""A process opens few connections to Redis, and none of its threads waits for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis
from flask import Flask

from mina_ops import MinaOps
from mina_ops.app.state import pool as pools
from mina_ops.app.state.pool import PatientPool
from mina_ops.demo.processes import Server
from tests.support.wait import eventually


@pytest.fixture
def pool(redis_server: Server) -> Iterator[PatientPool]:
    made = PatientPool.from_url(redis_server.url)
    assert isinstance(made, PatientPool)
    yield made
    made.disconnect()


def _in_thread(pool: PatientPool, got: list[object]) -> threading.Thread:
    thread = threading.Thread(target=lambda: got.append(pool.get_connection()))
    thread.start()
    return thread


def test_who_needs_a_connection_gets_one_that_is_given_back_meanwhile(
    pool: PatientPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As long as the machine is slow.
    monkeypatch.setattr(pools, "PATIENCE_SECONDS", 30.0)
    monkeypatch.setattr(pools, "_SOON_SECONDS", 60.0)
    got: list[object] = []
    first = pool.get_connection()
    waiting = _in_thread(pool, got)
    assert not got
    pool.release(first)
    waiting.join(20)
    assert got == [first]


def test_one_that_stays_away_is_not_waited_for(
    pool: PatientPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PATIENCE_SECONDS", 600.0)
    monkeypatch.setattr(pools, "_SOON_SECONDS", 0.0)  # as a listener's, which is lent long since
    first = pool.get_connection()
    assert pool.get_connection() is not first


def test_once_a_process_has_started_nobody_waits_for_long(
    pool: PatientPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PATIENCE_SECONDS", 600.0)
    monkeypatch.setattr(pools, "START_SECONDS", 0.0)
    first = pool.get_connection()
    assert pool.get_connection() is not first


def test_of_many_that_wait_for_nothing_each_opens_its_own(pool: PatientPool) -> None:
    held, got = pool.get_connection(), []  # type: ignore[var-annotated]
    threads = [_in_thread(pool, got) for _ in range(5)]
    for thread in threads:
        thread.join(20)
    assert len({id(connection) for connection in (held, *got)}) == 6


def test_what_a_burst_opened_is_closed_when_nobody_needs_it(
    own_redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = PatientPool.from_url(own_redis.url)
    for connection in [pool.get_connection() for _ in range(4)]:
        pool.release(connection)
    with redis.Redis.from_url(own_redis.url) as watch:
        assert len(watch.client_list()) == 5
        monkeypatch.setattr(pools, "_SPARE_SECONDS", 0.0)
        for _ in range(6):
            pool.release(pool.get_connection())
        eventually(lambda: len(watch.client_list()) == 2, 20)
        # Of use again, if there is need.
        for connection in [pool.get_connection() for _ in range(4)]:
            connection.send_command("PING")
            assert connection.read_response() == b"PONG"
    pool.disconnect()


def test_a_server_that_is_away_is_told_to_each_and_leaves_nothing_lent(own_redis: Server) -> None:
    pool = PatientPool.from_url(own_redis.url, socket_connect_timeout=5)
    own_redis.kill()
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            pool.get_connection()
    assert pool._of_this_process()._opening == 0


def test_a_process_at_work_has_two_connections(own_redis: Server) -> None:
    app = Flask("host")
    app.config.update(REDIS_URL=own_redis.url, MINA_OPS_BEAT=0.05, MINA_OPS_HEALTH_INTERVAL=0.1)
    ops = MinaOps(app)
    try:
        app.test_client().get("/api/health/live")
        eventually(lambda: ops.runtime.context.heartbeat.beats > 20, 20)
        # One that listens and one for all else; on a slow machine a third may have been opened.
        assert 2 <= ops.runtime.store.cost.connections <= 3
    finally:
        ops.close()
