"""Redis refused, hung, emptied and slow: no request waits, nothing is lost or counted twice."""

from __future__ import annotations

import re
import time

import httpx
import pytest
import redis

from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_redis
from tests.app.health.probing import reserved
from tests.app.metrics.test_metrics_processes import HOST, ask, await_samples, blue, get
from tests.support.hosts import Hosts
from tests.support.wait import eventually

# What waits for Redis takes its time limit; what does not, a millisecond. In between lies what a
# busy machine may add.
WAITS_SECONDS = 5.0
WAITS = {"MINA_OPS_REDIS_TIMEOUT": str(WAITS_SECONDS), "MINA_OPS_PRESENCE_TTL": "3.5"}


def slowest(host: Server, number: int, path: str = "/works/1") -> float:
    """The longest of some requests, in seconds."""
    with httpx.Client(base_url=host.url, timeout=45) as client:
        client.get("/api/health/live")
        times = []
        for _ in range(number):
            began = time.perf_counter()
            assert client.get(path).status_code == 200
            times.append(time.perf_counter() - began)
    return max(times)


def await_fresh(host: Server, samples: int) -> None:
    """All of them are there, and Redis answers in time again."""
    await_samples(host, samples)
    eventually(lambda: not ask(host, "errors")["stale"], 10, "figures are still stale")


@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_a_hung_redis_delays_no_request_and_loses_no_count(
    start_host: Hosts, own_redis: Server, worker: str
) -> None:
    host = start_host(HOST, worker=worker, environment=blue(own_redis.url, **WAITS))
    slowest(host, 5)
    await_samples(host, 5)
    own_redis.pause()
    assert slowest(host, 50) < WAITS_SECONDS
    eventually(lambda: ask(host, "errors")["stale"], 10, "figures marked stale")
    assert slowest(host, 20, "/api/metrics/errors") < WAITS_SECONDS
    assert ask(host, "errors")["samples"] == 5
    own_redis.resume()
    await_fresh(host, 55)
    slowest(host, 1)
    await_samples(host, 56)
    assert re.search(r"_count{.*/works.*} 56.0", get(host, "/metrics").text)


def test_a_first_question_during_an_outage_waits_for_one_timeout_and_is_stale(
    start_host: Hosts, own_redis: Server
) -> None:
    host = start_host(HOST, environment=blue(own_redis.url, **WAITS))
    slowest(host, 1)
    own_redis.pause()
    began = time.perf_counter()
    body = ask(host, "performance?environment=green&window=77")
    assert time.perf_counter() - began < 2 * WAITS_SECONDS
    assert (body["stale"], body["p50_ms"], body["samples"]) == (True, None, 0)
    own_redis.resume()


def test_a_redis_that_comes_late_gets_all_that_was_counted(
    start_host: Hosts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with reserved() as port:
        host = start_host(HOST, environment=blue(f"redis://127.0.0.1:{port}/0"))
        slowest(host, 30)
        assert ask(host, "errors")["stale"]
        with start_redis(tmp_path_factory.mktemp("late"), port=port):
            await_fresh(host, 30)


def test_an_emptied_redis_starts_anew_and_breaks_nothing(
    start_host: Hosts, own_redis: Server
) -> None:
    host = start_host(HOST, environment=blue(own_redis.url))
    slowest(host, 5)
    await_samples(host, 5)
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
        client.script_flush()
    await_samples(host, 0)
    slowest(host, 3)
    await_fresh(host, 3)


def test_a_redis_that_stutters_makes_nothing_count_twice(
    start_host: Hosts, own_redis: Server
) -> None:
    hasty = blue(own_redis.url, MINA_OPS_REDIS_TIMEOUT="0.2")
    host = start_host(HOST, environment=hasty)
    for _ in range(3):
        slowest(host, 20)
        # The server stops answering for longer than our timeout, then serves what waited.
        own_redis.pause()
        time.sleep(0.5)
        own_redis.resume()
    await_samples(host, 60)
    slowest(host, 1)
    await_samples(host, 61)


def test_a_restarted_redis_knows_our_scripts_again(
    start_host: Hosts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("restarted")
    with start_redis(folder) as first:
        port = first.port
        host = start_host(HOST, environment=blue(first.url))
        slowest(host, 5)
        await_samples(host, 5)
    with reserved(port):
        slowest(host, 5)
        again = start_redis(folder, port=port)
    with again:
        body = eventually(
            lambda: (b := ask(host, "errors"))["samples"] >= 5 and not b["stale"] and b,
            message="figures after the restart",
        )
        assert body["errors_5min"] == 0
