from __future__ import annotations

from collections.abc import Mapping

import pytest

from mina_ops.app.metrics.outbox import MOST_COARSE, Outbox
from mina_ops.app.metrics.recorder import Counted
from mina_ops.app.metrics.windows import span
from mina_ops.app.state import MemoryStore, keys
from mina_ops.errors import StateUnavailable

NOW = 1_700_000_003.5


class Flaky(MemoryStore):
    """A store that does not answer, and may have stored all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.stores_all_the_same = False
        self.largest = 0

    def add(
        self,
        tallies: Mapping[str, Mapping[str, float]],
        *,
        ttl_seconds: float,
        once: str | None = None,
    ) -> None:
        self.largest = max(self.largest, len(tallies))
        if not self.away or self.stores_all_the_same:
            super().add(tallies, ttl_seconds=ttl_seconds, once=once)
        if self.away:
            raise StateUnavailable("Redis did not serve us.")


def one(amount: float = 1) -> Counted:
    return Counted({"e": amount}, {"t:GET:200:/": amount})


def read(store: MemoryStore, now: float, window: int) -> dict[str, float]:
    slices = span(now, window)
    names = [keys.metrics_slice("blue", start, slices.step_seconds) for start in slices.starts]
    return store.totals(names)


@pytest.fixture
def store() -> Flaky:
    return Flaky()


@pytest.fixture
def outbox(store: Flaky) -> Outbox:
    return Outbox(store, "blue", "v1")


def test_what_is_flushed_can_be_read_in_short_and_long_windows(
    outbox: Outbox, store: Flaky
) -> None:
    outbox.put(one(), NOW)
    outbox.put(one(), NOW + 1)
    outbox.flush()
    assert read(store, NOW + 2, 60) == read(store, NOW + 2, 300) == {"e": 2}
    assert read(store, NOW + 3, 2) == {"e": 1}
    assert store.totals([keys.metrics_total("blue", "v1")]) == {"t:GET:200:/": 2}
    assert outbox.waiting == 0


def test_an_outage_delays_figures_and_loses_none(outbox: Outbox, store: Flaky) -> None:
    store.away = True
    for second in range(20):
        outbox.put(one(), NOW + second)
        with pytest.raises(StateUnavailable):
            outbox.flush()
    store.away = False
    outbox.flush()
    outbox.flush()
    assert read(store, NOW + 20, 60) == {"e": 20}
    assert read(store, NOW + 20, 10) == {"e": 10}, "each second is where it belongs"
    assert store.totals([keys.metrics_total("blue", "v1")]) == {"t:GET:200:/": 20}


def test_an_answer_that_got_lost_counts_nothing_twice(outbox: Outbox, store: Flaky) -> None:
    store.away = store.stores_all_the_same = True
    for second in range(3):
        outbox.put(one(), NOW + second)
        with pytest.raises(StateUnavailable):
            outbox.flush()
    store.away = False
    outbox.flush()
    outbox.flush()
    assert read(store, NOW + 3, 60) == read(store, NOW + 3, 300) == {"e": 3}
    assert store.totals([keys.metrics_total("blue", "v1")]) == {"t:GET:200:/": 3}


def test_a_long_outage_keeps_the_last_hour(outbox: Outbox, store: Flaky) -> None:
    store.away = True
    for second in range(0, 3 * 3600, 5):
        outbox.put(one(), NOW + second)
        with pytest.raises(StateUnavailable):
            outbox.flush()
    assert outbox.waiting <= MOST_COARSE + 200
    store.away = False
    store.largest = 0
    for _ in range(20):
        outbox.flush()
    assert outbox.waiting == 0
    assert store.largest <= 31, "one step must not hold up everybody's Redis"
    assert read(store, NOW + 3 * 3600, 3500)["e"] == pytest.approx(700, abs=4)
    assert store.totals([keys.metrics_total("blue", "v1")]) == {"t:GET:200:/": 2160}


def test_nothing_counted_stores_nothing(outbox: Outbox, store: Flaky) -> None:
    outbox.put(Counted({}, {}), NOW)
    outbox.flush()
    assert store.largest == 0
