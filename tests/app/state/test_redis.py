"""What only a store behind a network can suffer."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest
import redis

from mina_ops.app import settings
from mina_ops.app.state import Change, MemoryStore, open_store
from mina_ops.app.state.connect import connect
from mina_ops.app.state.redis import RedisStore
from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from mina_ops.errors import ConfigurationError, StateUnavailable
from tests.support.needs import need
from tests.support.redis_cluster import running_cluster
from tests.support.wait import eventually


def test_without_a_url_the_store_is_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(settings.load({}, {}))
    assert isinstance(store, MemoryStore)
    assert store.shared is False


def test_a_url_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="memcached"):
        connect("memcached://127.0.0.1", timeout_seconds=0.2)


def test_a_sentinel_url_without_a_service_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="service"):
        connect("redis+sentinel://127.0.0.1:26379", timeout_seconds=0.2)


def test_a_refused_connection_says_nothing_of_the_address() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        store = RedisStore.from_url(f"redis://:secret@127.0.0.1:{port}/0", timeout_seconds=0.2)
        with pytest.raises(StateUnavailable) as caught:
            store.get("mina:a")
    assert str(port) not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_hung_server_costs_one_timeout_not_the_clients_retries(own_redis: Server) -> None:
    store = RedisStore.from_url(own_redis.url, timeout_seconds=0.2)
    eventually(lambda: _writes(store, "mina:a"), 5.0, "the store to be connected")
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StateUnavailable):
            store.get("mina:a")
        # redis-py's own defaults wait for 20 s and more.
        assert time.monotonic() - began < 15.0
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)
    eventually(lambda: _reads(store, "mina:a"), 5.0, "the store to serve again")


def test_a_listener_comes_back_and_tells_so_after_its_line_was_cut(own_redis: Server) -> None:
    store = RedisStore.from_url(own_redis.url, timeout_seconds=10.0)
    heard: list[str] = []
    subscription = store.listen(["mina:hint:t"], heard.append)
    eventually(lambda: bool(heard), 5.0, "the first subscription")
    heard.clear()
    with redis.Redis.from_url(own_redis.url) as admin:
        admin.client_kill_filter(_type="pubsub")
    eventually(lambda: bool(heard), 5.0, "word of the new line")
    subscription.close()
    store.close()


def test_an_emptied_server_is_told_by_a_new_epoch(redis_url: str) -> None:
    store = RedisStore.from_url(redis_url, timeout_seconds=10.0)
    store.change_register("mina:{t}", Change(put={"a": b"1"}))
    before, _ = store.read_version("mina:{t}")
    with redis.Redis.from_url(redis_url) as admin:
        admin.flushall()
    assert store.read_version("mina:{t}") == ("", 0)
    store.change_register("mina:{t}", Change(put={"a": b"1"}))
    after, version = store.read_version("mina:{t}")
    assert after not in ("", before)
    assert version == 1


def _reads(store: RedisStore, key: str) -> bool:
    try:
        return store.get(key) == b"1"
    except StateUnavailable:
        return False


def _writes(store: RedisStore, key: str) -> bool:
    try:
        store.put(key, b"1")
    except StateUnavailable:
        return False
    return True


@pytest.mark.parametrize("url", ["redis+cluster://127.0.0.1:{}", "redis+sentinel://127.0.0.1:{}/m"])
def test_a_store_is_opened_while_nobody_is_there(url: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        store = RedisStore.from_url(url.format(port), timeout_seconds=0.2)
        for call in (store.ping, lambda: store.advance("mina:a", 1, ttl_seconds=1)):
            with pytest.raises(StateUnavailable) as caught:
                call()
            assert str(port) not in str(caught.value)
    store.close()


def test_any_node_of_a_cluster_that_is_named_will_do(tmp_path: Path) -> None:
    need(programs.redis_server)
    with running_cluster(tmp_path) as cluster:
        ports = [node.port for node in cluster.masters]
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            dead = held.getsockname()[1]
            url = f"redis+cluster://127.0.0.1:{dead},127.0.0.1:{ports[0]}"
            store = RedisStore.from_url(url, timeout_seconds=10.0)
            store.put("mina:a", b"1")
        assert store.get("mina:a") == b"1"
        store.close()


def test_a_clusters_master_may_hang_and_be_replaced(tmp_path: Path) -> None:
    need(programs.redis_server)
    with running_cluster(tmp_path, replicated=True) as cluster:
        patient = RedisStore.from_url(cluster.url, timeout_seconds=10.0)
        done = patient.change_register("mina:{t}", Change(put={"a": b"1"}))
        assert done is not None
        patient.close()
        store = RedisStore.from_url(cluster.url, timeout_seconds=0.2)
        heard: list[str] = []
        subscription = store.listen(["mina:hint:t"], heard.append)
        eventually(lambda: _writes(store, "mina:{t}:other"), 5.0, "the store to be connected")
        number = cluster.holder("mina:{t}")
        with redis.Redis(port=cluster.replicas[number].port) as copy:
            copy.execute_command("READONLY")
            eventually(lambda: copy.hexists("mina:{t}", "a"), 5.0, "the copy")
        holder = cluster.masters[number]
        holder.pause()
        began = time.monotonic()
        with pytest.raises(StateUnavailable):
            store.read_register("mina:{t}")
        assert time.monotonic() - began < 15.0
        cluster.take_over(number)
        eventually(
            lambda: store.read_version("mina:{t}") == (done.epoch, 1),
            20.0,
            "the register at its new master",
            ignoring=(StateUnavailable,),
        )
        eventually(
            lambda: store.change_register("mina:{t}", Change(put={"a": b"2"})),
            ignoring=(StateUnavailable,),
        )
        heard.clear()

        def told() -> bool:
            store.publish("mina:hint:t", "1")
            return bool(heard)

        eventually(told, 20.0, "hints over what is left", ignoring=(StateUnavailable,))
        subscription.close()
        store.close()
        holder.resume()
