"""What every store promises; each test runs over memory, Redis, a Redis Cluster and Valkey.

Over Redis it runs twice: once under the name of another product.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from flask import Flask

from mina_ops import MinaOps
from mina_ops.app.state import Change, MemoryStore, Store
from mina_ops.app.state.base import LogLine
from mina_ops.app.state.redis import RedisStore
from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from tests.support.needs import need
from tests.support.redis_cluster import RedisCluster, running_cluster
from tests.support.wait import eventually

REGISTER, LOG, HINT = "mina:{t}", "mina:{t}:log", "mina:hint:t"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    need(programs.redis_server)
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(params=["memory", "redis", "product", "cluster", "valkey"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        opened: Store = MemoryStore()
    elif request.param == "redis":
        url = request.getfixturevalue("redis_url")
        opened = RedisStore.from_url(url, timeout_seconds=10.0)
    elif request.param == "product":
        url = request.getfixturevalue("redis_url")
        opened = RedisStore.from_url(url, timeout_seconds=10.0, product="staging")
    elif request.param == "valkey":
        server: Server = request.getfixturevalue("valkey_server")
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        url = server.url.replace("redis://", "valkey://")
        opened = RedisStore.from_url(url, timeout_seconds=10.0)
    else:
        running: RedisCluster = request.getfixturevalue("cluster")
        running.flush()
        opened = RedisStore.from_url(running.url, timeout_seconds=10.0)
    yield opened
    opened.close()


def test_a_ping_takes_some_time_and_no_error(store: Store) -> None:
    assert store.ping() >= 0.0


def test_a_value_is_read_back_and_gone_after_delete(store: Store) -> None:
    store.put("mina:a", b"\x00\xff")
    assert store.get("mina:a") == b"\x00\xff"
    assert store.delete("mina:a") is True
    assert store.delete("mina:a") is False
    assert store.get("mina:a") is None


def test_a_value_expires(store: Store) -> None:
    store.put("mina:a", b"1", ttl_seconds=0.05)
    eventually(lambda: store.get("mina:a") is None, 2.0, "the value to expire")


def test_put_without_ttl_makes_a_value_lasting(store: Store) -> None:
    store.put("mina:a", b"1", ttl_seconds=0.05)
    store.put("mina:a", b"2")
    store.put("mina:b", b"1", ttl_seconds=0.05)
    eventually(lambda: store.get("mina:b") is None, 2.0, "the other value to expire")
    assert store.get("mina:a") == b"2"


def test_only_one_of_many_puts_a_new_key(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.put_new("mina:lock", str(n).encode()), range(16)))
    assert won.count(True) == 1
    assert store.get("mina:lock") == str(won.index(True)).encode()


def test_replace_needs_the_old_value(store: Store) -> None:
    assert store.replace("mina:a", b"0", b"1") is False
    store.put("mina:a", b"0")
    assert store.replace("mina:a", b"x", b"1") is False
    assert store.replace("mina:a", b"0", b"1", ttl_seconds=60) is True
    assert store.get("mina:a") == b"1"
    assert store.replace("mina:a", b"1", None) is True
    assert store.get("mina:a") is None


def test_an_announcement_reads_keys_and_registers_wherever_they_lie(store: Store) -> None:
    # Keys of several nodes, where there are several.
    for name in ("a", "c"):
        store.put(f"mina:{name}", name.encode())
    store.change_register(REGISTER, Change(put={"audio": b"1"}))
    wanted = ["mina:a", "mina:b", "mina:c"]
    found = store.announce(
        "mina:{r}", "one", b"1", ttl_seconds=60, read=wanted, versions=[REGISTER]
    )
    assert found.values == {"mina:a": b"a", "mina:c": b"c"}
    assert found.versions == {REGISTER: store.read_version(REGISTER)}
    assert store.members("mina:{r}") == {"one": b"1"}


def test_members_stay_while_they_announce_themselves(store: Store) -> None:
    store.announce("mina:{r}", "one", b"1", ttl_seconds=60)
    store.announce("mina:{r}", "two", b"2", ttl_seconds=0.05)
    eventually(lambda: store.members("mina:{r}") == {"one": b"1"}, 2.0, "the silent one to vanish")
    store.announce("mina:{r}", "two", b"3", ttl_seconds=60)
    assert store.members("mina:{r}") == {"one": b"1", "two": b"3"}
    store.withdraw("mina:{r}", "one")
    store.withdraw("mina:{r}", "never-there")
    assert store.members("mina:{r}") == {"two": b"3"}


def test_additions_of_many_threads_lose_nothing(store: Store) -> None:
    def add(_: int) -> None:
        store.add({"mina:m:{t}:1": {"a": 1, "b": 0.5}, "mina:m:{t}:2": {"a": 2}}, ttl_seconds=60)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert store.totals(["mina:m:{t}:1", "mina:m:{t}:2", "mina:m:{t}:3"]) == {"a": 120, "b": 20}
    assert store.totals(["mina:m:{t}:3"]) == {}
    assert store.totals([]) == {}


def test_tallies_expire(store: Store) -> None:
    store.add({"mina:m:{t}:1": {"a": 1}}, ttl_seconds=0.05)
    eventually(lambda: store.totals(["mina:m:{t}:1"]) == {}, 2.0, "the tally to expire")


def test_additions_with_a_name_are_made_one_time(store: Store) -> None:
    tallies = {"mina:m:{t}:1": {"a": 1, "b": 0.5}, "mina:m:{t}:2": {"a": 2}}
    for name in ("first", "first", "second"):
        store.add(tallies, ttl_seconds=60, once=name)
    assert store.totals(list(tallies)) == {"a": 6, "b": 1}


def test_a_name_of_additions_is_free_again_after_their_expiry(store: Store) -> None:
    key = "mina:m:{t}:1"
    store.add({key: {"a": 1}}, ttl_seconds=0.05, once="first")
    eventually(lambda: store.totals([key]) == {}, 2.0, "the tally to expire")
    store.add({key: {"a": 1}}, ttl_seconds=60, once="first")
    assert store.totals([key]) == {"a": 1}


def test_a_register_never_written_has_no_epoch(store: Store) -> None:
    register = store.read_register(REGISTER)
    assert (register.epoch, register.version, dict(register.entries)) == ("", 0, {})
    assert store.read_version(REGISTER) == ("", 0)


def test_each_change_raises_the_version_and_keeps_the_epoch(store: Store) -> None:
    first = store.change_register(REGISTER, Change(put={"a": b"1", "b": b"2"}))
    second = store.change_register(REGISTER, Change(put={"c": b"3"}, remove=["a"]))
    assert first is not None
    assert second is not None
    assert (first.version, second.version) == (1, 2)
    assert first.epoch == second.epoch != ""
    read = store.read_register(REGISTER)
    assert dict(read.entries) == {"b": b"2", "c": b"3"}
    assert store.read_version(REGISTER) == (second.epoch, 2)


def test_a_register_emptied_on_purpose_keeps_its_epoch(store: Store) -> None:
    store.change_register(REGISTER, Change(put={"a": b"1"}))
    store.change_register(REGISTER, Change(remove=["a"]))
    read = store.read_register(REGISTER)
    assert read.epoch != ""
    assert read.version == 2
    assert not read.entries


def test_a_change_whose_expectation_fails_changes_nothing(store: Store) -> None:
    store.change_register(REGISTER, Change(put={"a": b"1"}, log=LOG))
    for expect in ({"a": b"2"}, {"a": None}, {"b": b"1"}):
        change = Change(put={"a": b"9"}, remove=["a"], expect=expect, log=LOG, hint=HINT)
        assert store.change_register(REGISTER, change) is None
    assert store.change_register(REGISTER, Change(put={"b": b"2"}, expect={"b": None})) is not None
    assert store.change_register(REGISTER, Change(put={"a": b"3"}, expect={"a": b"1"})) is not None
    read = store.read_register(REGISTER)
    assert read.version == 3
    assert dict(read.entries) == {"a": b"3", "b": b"2"}
    assert len(store.records(LOG, count=10)) == 1


def test_of_two_writers_who_read_the_same_one_wins(store: Store) -> None:
    store.change_register(REGISTER, Change(put={"a": b"0"}))
    together = threading.Barrier(8)

    def write(n: int) -> bool:
        together.wait(30)
        change = Change(put={"a": str(n).encode()}, expect={"a": b"0"})
        return store.change_register(REGISTER, change) is not None

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(1, 9)))
    assert won.count(True) == 1
    assert store.read_version(REGISTER)[1] == 2


def test_a_change_writes_its_record_in_the_same_step(store: Store) -> None:
    record = {"actor": "token:ci", "after": '{"colour": "grün"}'}
    store.change_register(REGISTER, Change(put={"a": b"1"}, log=LOG, record=record))
    assert [fields for _, fields in store.records(LOG, count=5)] == [{**record, "version": "1"}]


def test_records_come_newest_first_in_pages(store: Store) -> None:
    for n in range(5):
        store.append(LOG, {"n": str(n)})
    newest = store.records(LOG, count=2)
    assert [fields["n"] for _, fields in newest] == ["4", "3"]
    older = store.records(LOG, count=10, before=newest[-1][0])
    assert [fields["n"] for _, fields in older] == ["2", "1", "0"]


def test_a_log_keeps_about_as_many_records_as_it_is_told(store: Store) -> None:
    for n in range(500):
        store.append(LOG, {"n": str(n)}, keep=100)
    kept = store.records(LOG, count=1000)
    assert 100 <= len(kept) <= 250
    assert kept[0][1]["n"] == "499"


def test_a_high_water_mark_never_falls(store: Store) -> None:
    assert store.advance("mina:mark", 5, ttl_seconds=60) == 5
    assert store.advance("mina:mark", 3, ttl_seconds=60) == 5
    assert store.advance("mina:mark", 2**52, ttl_seconds=60) == 2**52
    assert store.get("mina:mark") == str(2**52).encode()


def test_a_listener_hears_its_channels_until_it_is_closed(store: Store) -> None:
    heard: list[str] = []
    subscription = store.listen([HINT, "mina:hint:other"], heard.append)

    def shout() -> bool:
        store.publish(HINT, "1")
        return HINT in heard

    eventually(shout, 5.0, "the first hint")
    subscription.close()
    subscription.close()
    heard.clear()
    later: list[str] = []
    another = store.listen([HINT], later.append)

    def shout_again() -> bool:
        store.publish(HINT, "2")
        return HINT in later

    eventually(shout_again, 5.0, "a hint for who still listens")
    another.close()
    assert heard == []


def test_a_change_tells_listeners(store: Store) -> None:
    heard: list[str] = []
    subscription = store.listen([HINT], heard.append)

    def change() -> bool:
        store.change_register(REGISTER, Change(put={"a": b"1"}, hint=HINT))
        return HINT in heard

    eventually(change, 5.0, "the hint of a change")
    subscription.close()


def test_advance_all_raises_each_mark_and_lowers_none(store: Store) -> None:
    store.advance("mina:a", 5, ttl_seconds=60)
    store.advance_all({"mina:a": 3, "mina:b": 7}, ttl_seconds=60)
    assert (store.get("mina:a"), store.get("mina:b")) == (b"5", b"7")
    store.advance_all({}, ttl_seconds=60)


def test_get_all_gives_the_keys_that_exist(store: Store) -> None:
    store.put("mina:a", b"1")
    store.put("mina:b", b"2", ttl_seconds=60)
    assert store.get_all(["mina:a", "mina:none", "mina:b"]) == {"mina:a": b"1", "mina:b": b"2"}
    assert store.get_all([]) == {}


def test_many_values_are_written_and_deleted_each_by_itself(store: Store) -> None:
    store.put_many({"mina:a": b"1", "mina:b": b"2"}, ttl_seconds=60)
    store.put_many({"mina:a": None, "mina:c": b"3"}, ttl_seconds=60)
    found = store.get_all(["mina:a", "mina:b", "mina:c"])
    assert found == {"mina:b": b"2", "mina:c": b"3"}


def test_lines_come_back_in_order_from_a_moment_on(store: Store) -> None:
    lines = [LogLine("mina:l", {"n": str(number).encode()}) for number in range(3)]
    store.append_lines([*lines, LogLine("mina:m", {"n": b"x"})], keep=100, ttl_seconds=60)
    found = store.lines_since(["mina:l", "mina:m", "mina:none"], 0.0)
    assert [fields for _, fields in found["mina:l"]] == [{"n": b"0"}, {"n": b"1"}, {"n": b"2"}]
    assert [fields for _, fields in found["mina:m"]] == [{"n": b"x"}]
    assert found["mina:none"] == []
    at = found["mina:l"][0][0]
    assert store.lines_since(["mina:l"], at + 3600) == {"mina:l": []}


def test_a_line_that_several_write_under_one_name_counts_once(store: Store) -> None:
    line = LogLine("mina:{l}", {"n": b"1"}, once="event 1")
    for _ in range(3):
        store.append_lines([line], keep=100, ttl_seconds=60)
    assert len(store.lines_since(["mina:{l}"], 0.0)["mina:{l}"]) == 1


def test_in_a_cluster_a_process_asks_one_node_on_its_beat(cluster: RedisCluster) -> None:
    app = Flask("host")
    app.config.update(REDIS_URL=cluster.url, MINA_OPS_REDIS_TIMEOUT=5)
    runtime = MinaOps(app).runtime
    try:
        before = _calls(cluster)
        for _ in range(3):
            runtime.context.clock.follow(runtime.store.time())
            runtime.context.presence.beat(time.time())
        assert sum(b > a for a, b in zip(before, _calls(cluster), strict=True)) == 1
    finally:
        runtime.close()


def _calls(cluster: RedisCluster) -> list[int]:
    """Commands of stores that each node has served."""
    found = []
    for node in cluster.masters:
        with redis.Redis(port=node.port) as client:
            stats = client.info("commandstats")
        # A client asks on its own for slots, and for what it may ask; this test asks for these.
        served = {k: v for k, v in stats.items() if k.split("_")[1].split("|")[0] in _OF_A_BEAT}
        found.append(sum(int(one["calls"]) for one in served.values()))
    return found


_OF_A_BEAT = ("mget", "get", "set", "sadd", "pexpire", "hmget", "smembers", "time", "evalsha")
