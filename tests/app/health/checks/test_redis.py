"""The redis check sees a Redis that is gone, hangs, or takes no writes."""

from __future__ import annotations

import pytest
import redis

from mina_ops.app.health.checks.redis import redis_check
from mina_ops.app.health.faults import classify
from mina_ops.app.health.model import Check, Warned
from mina_ops.app.settings import load
from mina_ops.app.state import open_store
from mina_ops.demo.processes import Server
from mina_ops.errors import StateUnavailable


def _check(url: str | None) -> Check:
    settings = load({"REDIS_URL": url, "MINA_OPS_REDIS_TIMEOUT": 5}, {})
    return redis_check(open_store(settings), settings, site="one", ttl_seconds=5)


def _fault(check: Check) -> str:
    assert check.run is not None
    with pytest.raises(StateUnavailable) as caught:
        check.run()
    return classify(caught.value)


def test_the_memory_of_a_process_is_disabled_and_says_so() -> None:
    check = _check(None)
    assert check.run is None
    assert check.facts == {"store": "memory"}


def test_a_redis_that_works_is_asked_and_written_to(redis_url: str) -> None:
    check = _check(redis_url)
    assert check.run is not None
    check.run()
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.ttl("mina:env:production:health") <= 60


def test_hung_refused_and_locked_redis_are_told_apart(own_redis: Server) -> None:
    check = _check(own_redis.url)
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("requirepass", "secret")
    assert _fault(_check(own_redis.url)) == "auth"
    own_redis.pause()
    assert _fault(check) == "timeout"
    own_redis.resume()
    own_redis.kill()
    assert _fault(check) == "refused"


def test_a_redis_that_takes_no_writes_is_unfit(own_redis: Server) -> None:
    check = _check(own_redis.url)
    with redis.Redis.from_url(own_redis.url) as client:
        client.replicaof("127.0.0.1", "1")
        assert _fault(check) == "error"


def test_what_is_odd_is_looked_for_now_and_then(own_redis: Server) -> None:
    settings = load({"REDIS_URL": own_redis.url, "MINA_OPS_REDIS_TIMEOUT": 5}, {})
    store = open_store(settings)
    one, other = (
        redis_check(store, settings, site=site, ttl_seconds=5).run for site in ("one", "other")
    )
    assert one is not None
    assert other is not None
    one()
    before = store.cost.commands
    for _ in range(5):
        one()
    assert store.cost.commands - before == 5
    with pytest.raises(Warned):
        other()
    with pytest.raises(Warned):
        one()
    store.close()
