from __future__ import annotations

from collections.abc import Iterator

import pytest

from mina_ops.app.admin.audit import Audit
from mina_ops.app.admin.auth import Author
from mina_ops.app.clock import Clock
from mina_ops.app.drain.orders import Orders
from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.state.redis import RedisStore
from mina_ops.errors import Conflict

ANA = Author("user:ana")


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    opened = RedisStore.from_url(request.getfixturevalue("redis_url"), timeout_seconds=10.0)
    yield opened
    opened.close()


def orders(store: Store, environment: str = "blue") -> Orders:
    identity = Identity(environment, "v1", "0", ("blue", "green"))
    return Orders(store, identity, Audit(store, identity, Clock()))


def test_an_order_is_begun_once_and_then_kept(store: Store) -> None:
    first, new = orders(store).begin(ANA, 1000.0, 30.0, version="v1", force=False)
    again, again_new = orders(store).begin(ANA, 1001.0, 600.0, version="v1", force=False)
    assert (new, again_new) == (True, False)
    assert again == first == orders(store).read()


def test_a_shorter_grace_tightens_the_order_that_runs(store: Store) -> None:
    first, _ = orders(store).begin(ANA, 1000.0, 30.0, version="v1", force=False)
    tightened, new = orders(store).begin(ANA, 1001.0, 2.0, version="v1", force=False)
    assert (tightened.order_id, tightened.deadline, new) == (first.order_id, 1003.0, False)
    assert orders(store).read() == tightened


def test_a_cancelled_order_is_told_from_none_and_makes_room_for_a_new_one(store: Store) -> None:
    first, _ = orders(store).begin(ANA, 1000.0, 30.0, version="v1", force=False)
    assert orders(store).cancel(ANA, 1001.0) == first
    assert orders(store).cancel(ANA, 1002.0) is None
    left = orders(store).read()
    assert left is not None
    assert left.cancelled
    second, new = orders(store).begin(ANA, 1003.0, 30.0, version="v1", force=False)
    assert new
    assert second.order_id != first.order_id


def test_nothing_to_cancel_is_no_error(store: Store) -> None:
    assert orders(store).cancel(ANA, 1000.0) is None


def test_the_other_colour_is_refused_until_the_first_is_cancelled(store: Store) -> None:
    orders(store).begin(ANA, 1000.0, 30.0, version="v1", force=False)
    green = orders(store, "green")
    with pytest.raises(Conflict, match="blue"):
        green.begin(ANA, 1000.0, 30.0, version="v1", force=False)
    assert green.read() is None
    assert green.begin(ANA, 1000.0, 30.0, version="v1", force=True)[1]
    green.cancel(ANA, 1000.0)
    orders(store).cancel(ANA, 1000.0)
    assert green.begin(ANA, 1000.0, 30.0, version="v1", force=False)[1]


def test_a_lost_order_is_written_again_but_never_over_a_newer_one(store: Store) -> None:
    first, _ = orders(store).begin(ANA, 1000.0, 30.0, version="v1", force=False)
    store.delete(keys.drain_order("blue"))
    orders(store).keep(first, 1001.0)
    assert orders(store).read() == first
    store.delete(keys.drain_order("blue"))
    second, _ = orders(store).begin(ANA, 1002.0, 30.0, version="v1", force=False)
    orders(store).keep(first, 1003.0)
    assert orders(store).read() == second


def test_refreshing_an_order_that_was_cancelled_meanwhile_does_not_revive_it(store: Store) -> None:
    first, _ = orders(store).begin(ANA, 1000.0, 30.0, version="v1", force=False)
    orders(store).cancel(ANA, 1001.0)
    orders(store).refresh(first, 1002.0)
    left = orders(store).read()
    assert left is not None
    assert left.cancelled


def test_an_order_that_the_store_lost_stays_cancelled_for_whoever_still_obeys_it(
    store: Store,
) -> None:
    order, _ = orders(store).begin(ANA, 1000.0, 30.0, version="v1", force=False)
    store.delete(keys.drain_order("blue"))
    assert orders(store).cancel(ANA, 1001.0, known=order) == order
    # Another process of the colour has not heard of it, and would write back what it obeys.
    orders(store).keep(order, 1001.0)
    left = orders(store).read()
    assert left is not None
    assert left.cancelled
