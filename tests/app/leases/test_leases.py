"""One controller at a time: a lease is held by one id, for its time, in every store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mina_ops.app.leases.leases import LeaseStore
from mina_ops.app.leases.model import Lease, lease_of
from mina_ops.app.state.base import Store
from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.state.redis import RedisStore
from tests.support.wait import eventually


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore()
    else:
        made = RedisStore.from_url(request.getfixturevalue("redis_url"), timeout_seconds=2.0)
    yield made
    made.close()


@pytest.fixture
def leases(store: Store) -> LeaseStore:
    return LeaseStore(store)


def wanted(who: str, ttl_seconds: float = 60.0) -> Lease:
    body = {"id": f"id-of-{who}", "user": who, "ttl_seconds": ttl_seconds}
    return lease_of("traffic", body, 1.0)


def test_who_comes_second_is_told_who_holds_it(leases: LeaseStore) -> None:
    assert leases.take(wanted("ana")) == (wanted("ana"), True)
    assert leases.take(wanted("ben")) == (wanted("ana"), False)
    assert leases.holder("traffic") == wanted("ana")


def test_a_repeated_request_holds_it_still(leases: LeaseStore) -> None:
    leases.take(wanted("ana"))
    assert leases.take(wanted("ana", ttl_seconds=90.0)) == (wanted("ana", 90.0), False)


def test_what_is_freed_can_be_taken(leases: LeaseStore) -> None:
    leases.take(wanted("ana"))
    assert leases.free("traffic", "id-of-ben") is None
    assert leases.free("traffic", "id-of-ana") == wanted("ana")
    assert leases.free("traffic", "id-of-ana") is None
    assert leases.take(wanted("ben"))[1]


def test_a_holder_that_was_paused_for_too_long_takes_nothing_from_the_next(
    leases: LeaseStore,
) -> None:
    leases.take(wanted("ana", ttl_seconds=1.0))
    eventually(lambda: leases.take(wanted("ben"))[1])
    assert leases.renew("traffic", "id-of-ana", 60.0) is None
    assert leases.free("traffic", "id-of-ana") is None
    assert leases.holder("traffic") == wanted("ben")


def test_a_renewed_lease_outlives_its_first_time(leases: LeaseStore) -> None:
    leases.take(wanted("ana", ttl_seconds=1.0))
    leases.take(Lease(**{**wanted("ben", ttl_seconds=1.0).to_json(), "name": "clock"}))
    assert leases.renew("traffic", "id-of-ana", 60.0)
    eventually(lambda: leases.holder("clock") is None)
    assert leases.holder("traffic") == wanted("ana", ttl_seconds=60.0)


def test_of_many_who_ask_at_once_one_gets_it(leases: LeaseStore) -> None:
    with ThreadPoolExecutor(16) as pool:
        for number in range(20):
            people = [f"person-{number}-{index}" for index in range(16)]
            taken = list(pool.map(lambda who: leases.take(wanted(who)), people))
            assert sum(is_new for _, is_new in taken) == 1
            (holder,) = {lease.id for lease, _ in taken}
            assert leases.free("traffic", holder)
