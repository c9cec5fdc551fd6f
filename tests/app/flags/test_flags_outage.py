"""Redis killed, hung, emptied, failed over: no request suffers, no flag changes, all recovers.

`MINA_OPS_TEST_OUTAGE_SECONDS` sets how long the outage under load lasts (default 4).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
import redis

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server
from mina_ops.demo.servers import start_redis
from tests.app.flags.flagging import (
    APP,
    LASTING,
    call,
    change,
    environment,
    kill,
    loaded,
    processes_known,
    told,
)
from tests.app.health.probing import reserved
from tests.support.hosts import Hosts
from tests.support.needs import need
from tests.support.redis_cluster import running_cluster
from tests.support.redis_sentinel import Replicated, running_sentinel
from tests.support.wait import eventually

OUTAGE_SECONDS = float(os.environ.get("MINA_OPS_TEST_OUTAGE_SECONDS", "4"))
# What waits for Redis takes its time limit; what does not, milliseconds. In between lies what a
# busy machine may add.
WAITS_SECONDS = 5.0
# So many requests during the outage that a machine which stands still delays few of them.
LEAST_REQUESTS = 1000

KEEPS = ["--appendonly", "yes", "--appendfsync", "always"]


@pytest.fixture
def lasting_redis(tmp_path: Path) -> Iterator[list[Server]]:
    """A Redis that keeps what it holds; the test may end it and put another in its place."""
    servers = [start_redis(tmp_path / "lasting", options=KEEPS)]
    yield servers
    for server in servers:
        server.stop()


pytestmark = pytest.mark.timeout(OUTAGE_SECONDS + 300)


def again(tmp_path: Path, servers: list[Server]) -> None:
    """The same Redis, started again on its port with what it had kept."""
    servers.append(start_redis(tmp_path / "lasting", port=servers[0].port, options=KEEPS))


def works(host: Server, n: int) -> bool:
    """Whether a change is taken, and the process is sure of its flags again."""
    status, _ = change(host, "canary", metadata={"n": n})
    return status in (200, 201) and not told(host, "audio")["stale"]


@pytest.mark.parametrize("worker", ["gthread", "gevent", "eventlet"])
@pytest.mark.parametrize("outage", ["killed", "hung"])
def test_an_outage_under_load_hurts_no_request_and_changes_no_flag(
    start_host: Hosts, lasting_redis: list[Server], tmp_path: Path, outage: str, worker: str
) -> None:
    server = lasting_redis[0]
    waits = {"MINA_OPS_REDIS_TIMEOUT": str(WAITS_SECONDS), "MINA_OPS_PRESENCE_TTL": "3.5"}
    variables = environment(server.url, **waits)
    host = start_host(APP, worker=worker, environment=variables, options=LASTING)
    assert change(host, "audio", enabled=True)[0] == 201
    with ExitStack() as away, loaded(host, "audio") as load:
        eventually(lambda: len(load.seconds) > 100, message="requests before the outage")
        usual = load.quantile(0.99)
        server.kill() if outage == "killed" else server.pause()
        away.enter_context(reserved(server.port) if outage == "killed" else nullcontext())
        load.fresh()
        ends = time.monotonic() + OUTAGE_SECONDS
        statuses = set()
        while time.monotonic() < ends:
            statuses.add(change(host, "audio", enabled=False)[0])
            assert told(host, "audio")["on"] is True
        eventually(lambda: told(host, "audio")["stale"], message="the flags to be called stale")
        eventually(lambda: len(load.seconds) > LEAST_REQUESTS, 10.0, "requests in the outage")
        seen, faults, p99 = set(load.answers), list(load.faults), load.quantile(0.99)
        count = len(load.seconds)
        again(tmp_path, lasting_redis) if outage == "killed" else server.resume()
        back = time.monotonic()
        eventually(lambda: works(host, 1), message="changes to be taken again")
        recovered = time.monotonic() - back
    assert statuses == {503}
    assert (faults, seen) == ([], {True})
    assert p99 < WAITS_SECONDS, "somebody waits for Redis"
    assert load.faults == []
    print(f"{worker} {outage}: {count} requests, p99 {p99 * 1000:.1f} ms (usually "
          f"{usual * 1000:.1f} ms), recovered in {recovered:.2f} s")  # fmt: skip


def test_a_hung_redis_that_wakes_does_not_make_a_refused_change_after_all(
    start_host: Hosts, own_redis: Server
) -> None:
    host = start_host(APP, environment=environment(own_redis.url))
    assert change(host, "audio", enabled=True, owner="ana")[0] == 201
    own_redis.pause()
    status, body = change(host, "audio", owner="ben")
    own_redis.resume()
    assert (status, body["code"]) == (503, "state_unavailable")
    eventually(lambda: works(host, 1), message="changes to be taken again")
    assert call(host, "GET", "/admin/flags/audio")[1]["owner"] == "ana"


def test_an_emptied_redis_is_an_alert_and_the_next_change_restores_all(
    start_host: Hosts, own_redis: Server
) -> None:
    blue = start_host(APP, environment=environment(own_redis.url, "blue"))
    green = start_host(APP, environment=environment(own_redis.url, "green"))
    change(blue, "killed", enabled=False, owner="ana")
    change(blue, "audio", enabled=True, rollout_percent=100)
    eventually(lambda: told(green, "audio")["on"], message="green to follow")
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
        for host in (blue, green):
            eventually(lambda host=host: told(host, "audio")["alert"], message="the alert")
            assert told(host, "audio")["on"] is True
            assert told(host, "audio")["stale"] is True
        report = call(green, "GET", "/admin/flags")[1]
        assert (report["alert"], report["stale"]) == ("the store was emptied", True)
        assert change(green, "killed", owner="ben")[0] == 200
        assert set(client.hkeys("mina:{flags}")) >= {b"audio", b"killed"}
    for host in (blue, green):
        eventually(lambda host=host: not told(host, "audio")["stale"], message="the alert's end")
        assert told(host, "audio")["on"] is True


@pytest.mark.parametrize("worker", ["gthread", "gevent", "eventlet"])
def test_a_redis_that_comes_back_empty_under_load_turns_nothing_off(
    start_host: Hosts, own_redis: Server, tmp_path: Path, worker: str
) -> None:
    variables = environment(own_redis.url, "blue")
    blue = start_host(APP, worker=worker, environment=variables, options=LASTING)
    green = start_host(APP, environment=environment(own_redis.url, "green"))
    change(blue, "killed", enabled=False, owner="ana")
    change(blue, "audio", enabled=True)
    eventually(lambda: told(green, "audio")["on"], message="green to follow")
    with loaded(blue, "audio") as load:
        own_redis.kill()
        with reserved(own_redis.port):
            assert change(blue, "audio", enabled=False)[0] == 503
            anew = start_redis(tmp_path / "anew", port=own_redis.port)
        with anew:
            for host in (blue, green):
                eventually(lambda host=host: told(host, "audio")["alert"], message="the alert")
                assert told(host, "audio")["on"] is True
            with redis.Redis.from_url(anew.url) as client:
                assert client.hkeys("mina:{flags}") == [], "nobody restores what may be meant"
                assert change(green, "killed", owner="ben", confirm_seconds=30)[1]["confirmed"]
                assert set(client.hkeys("mina:{flags}")) >= {b"audio", b"killed"}
            for host in (blue, green):
                eventually(lambda host=host: not told(host, "audio")["stale"], message="the end")
            processes_known(anew.url, 1, "green")
            assert kill(blue, "audio")[1]["confirmed"] is True
            assert told(green, "audio")["on"] is False
    assert load.faults == []


def test_a_host_that_knows_nothing_learns_from_its_peers_what_an_emptied_redis_has_lost(
    start_host: Hosts, own_redis: Server, tmp_path: Path
) -> None:
    blue = start_host(APP, environment=environment(own_redis.url, "blue"))
    change(blue, "audio", enabled=True, rollout_percent=100, owner="ana")
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
    eventually(lambda: told(blue, "audio")["alert"], message="the alert")
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "elsewhere")}
    stranger = start_host(APP, environment=environment(own_redis.url, "green", **elsewhere))
    found = told(stranger, "audio")
    assert (found["on"], found["stale"]) == (True, True)
    assert found["alert"] == "the store was emptied"
    # A kill through it leaves the flag's other fields, and ends the loss for all.
    assert change(stranger, "audio", enabled=False)[0] in (200, 202)
    eventually(lambda: not told(blue, "audio")["on"], message="the kill")
    flag = call(blue, "GET", "/admin/flags/audio")[1]
    assert (flag["owner"], flag["rollout_percent"]) == ("ana", 100)
    for host in (blue, stranger):
        eventually(lambda host=host: not told(host, "audio")["stale"], message="the alert's end")


def test_a_stranger_who_writes_before_anybody_could_tell_it_does_not_turn_the_rest_off(
    start_host: Hosts, own_redis: Server, tmp_path: Path
) -> None:
    blue = start_host(APP, environment=environment(own_redis.url, "blue"))
    change(blue, "audio", enabled=True)
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "elsewhere")}
    blue.pause()
    try:
        with redis.Redis.from_url(own_redis.url) as client:
            client.flushall()
        stranger = start_host(APP, environment=environment(own_redis.url, "green", **elsewhere))
        assert change(stranger, "other", enabled=True)[0] == 201
    finally:
        blue.resume()
    eventually(lambda: told(blue, "other")["on"], message="the stranger's change")
    assert told(blue, "audio")["on"] is True
    assert call(blue, "POST", "/admin/flags/-/recover", {"action": "restore"})[0] == 200
    eventually(lambda: told(stranger, "audio")["on"], message="the stranger to be told")
    for host in (blue, stranger):
        eventually(lambda host=host: not told(host, "other")["stale"], message="the alert's end")


def test_a_loss_can_be_accepted(start_host: Hosts, own_redis: Server) -> None:
    host = start_host(APP, environment=environment(own_redis.url))
    change(host, "audio", enabled=True)
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
    eventually(lambda: told(host, "audio")["alert"], message="the alert")
    assert call(host, "POST", "/admin/flags/-/recover", {"action": "discard"})[0] == 200
    found = told(host, "audio")
    assert (found["on"], found["stale"], found["alert"]) == (False, False, None)


def test_a_host_that_starts_while_redis_is_away_knows_the_last_flags(
    start_host: Hosts, own_redis: Server
) -> None:
    first = start_host(APP, environment=environment(own_redis.url))
    change(first, "audio", enabled=True)
    path = Path(os.environ["XDG_CACHE_HOME"]) / "mina_ops"
    eventually(
        lambda: any("audio" in file.read_text() for file in path.glob("flags-*.json")),
        message="the file of last known flags",
        ignoring=(OSError,),
    )
    first.stop()
    own_redis.kill()
    second = start_host(APP, environment=environment(own_redis.url))
    found = told(second, "audio")
    assert (found["on"], found["stale"]) == (True, True)
    assert change(second, "audio", enabled=False)[0] == 503


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[Replicated]:
    need(programs.redis_server)
    with running_sentinel(tmp_path) as found:
        yield found


def test_a_failover_keeps_flags_and_takes_changes_again(
    start_host: Hosts, replicated: Replicated
) -> None:
    host = start_host(APP, environment=environment(replicated.url))
    assert change(host, "audio", enabled=True)[0] == 201
    with redis.Redis(port=replicated.replica.port) as client:
        eventually(lambda: client.hexists("mina:{flags}", "audio"), message="the replica")
    replicated.fail_over()
    assert told(host, "audio")["on"] is True
    eventually(lambda: works(host, 1), 10.0, "changes through the new master")
    assert told(host, "audio")["alert"] is None
    assert kill(host, "audio")[0] == 200
    assert told(host, "audio")["on"] is False


def test_a_clusters_failover_keeps_flags_and_takes_changes_again(
    start_host: Hosts, tmp_path: Path
) -> None:
    need(programs.redis_server)
    with running_cluster(tmp_path / "cluster", replicated=True) as cluster:
        blue = start_host(APP, environment=environment(cluster.url, "blue"))
        green = start_host(APP, environment=environment(cluster.url, "green"))
        assert change(blue, "audio", enabled=True, owner="ana")[0] == 201
        processes_known(cluster.url, 1, "green")
        assert change(blue, "audio", owner="ben", confirm_seconds=30)[1]["confirmed"] is True
        number = cluster.holder("mina:{flags}")
        with redis.Redis(port=cluster.replicas[number].port) as client:
            client.execute_command("READONLY")
            eventually(lambda: b"ben" in client.hget("mina:{flags}", "audio"), message="the copy")
        cluster.masters[number].kill()
        cluster.take_over(number)
        assert told(green, "audio")["on"] is True
        for host in (blue, green):
            eventually(lambda host=host: works(host, 1), 20.0, "changes through the replica")
            assert told(host, "audio")["alert"] is None
        status, body = call(blue, "POST", "/admin/flags/audio/undo", {})
        assert (status, body["changed"]["audio"]["owner"]) == (200, "ana")
        processes_known(cluster.url, 1, "blue")
        assert kill(green, "audio")[1]["confirmed"] is True
        assert told(blue, "audio")["on"] is False


@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster"])
def test_a_host_starts_while_nobody_is_at_its_address(start_host: Hosts, scheme: str) -> None:
    with socket.socket() as held:
        held.bind((HOST, 0))
        service = "/mymaster" if scheme == "redis+sentinel" else ""
        url = f"{scheme}://{HOST}:{held.getsockname()[1]}{service}"
        host = start_host(APP, environment=environment(url))
        assert call(host, "GET", "/api/flags")[1]["stale"] is True
        status, body = change(host, "audio", enabled=True)
    assert (status, body["code"]) == (503, "state_unavailable")


def test_a_failover_that_loses_a_kill_does_not_turn_the_flag_on(
    start_host: Hosts, replicated: Replicated
) -> None:
    host = start_host(APP, environment=environment(replicated.url))
    assert change(host, "audio", enabled=True)[0] == 201
    with redis.Redis(port=replicated.replica.port) as client:
        eventually(lambda: client.hexists("mina:{flags}", "audio"), message="the replica")
        client.replicaof(HOST, "1")  # cut off from its master: the kill never reaches it
        assert kill(host, "audio")[0] == 200
    replicated.fail_over()
    eventually(lambda: told(host, "audio")["alert"], 10.0, "the loss to be seen")
    assert told(host, "audio")["on"] is False
    assert call(host, "POST", "/admin/flags/-/recover", {"action": "restore"})[0] == 200
    found = told(host, "audio")
    assert (found["on"], found["alert"]) == (False, None)
