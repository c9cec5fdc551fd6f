from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from mina_ops.app.metrics.views import KEEP_SECONDS, MOST_VIEWS, Subject, Views
from mina_ops.app.state import MemoryStore, keys
from mina_ops.errors import StateUnavailable

NOW = 1_700_000_003.5
FIVE_MINUTES = Subject("green", 300)


class Shared(MemoryStore):
    """A store that others write to, that counts readings and can go away."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.readings = 0

    def ping(self) -> float:
        if self.away:
            raise StateUnavailable("Redis did not serve us.")
        return 0.0

    def totals(self, keys: Sequence[str]) -> dict[str, float]:
        self.readings += 1
        self.ping()
        return super().totals(keys)

    def count(self, amount: float, now: float = NOW) -> None:
        start = int(now) // 10 * 10
        name = keys.metrics_slice("green", start, 10)
        self.add({name: {"e": amount}}, ttl_seconds=1000)


@pytest.fixture
def store() -> Shared:
    return Shared()


@pytest.fixture
def views(store: Shared, monkeypatch: pytest.MonkeyPatch) -> Views:
    """What one beat may spend, a machine that is busy may take for nothing."""
    monkeypatch.setattr("mina_ops.app.metrics.views._BUDGET_SECONDS", math.inf)
    return Views(store, patience_seconds=3.5)


def test_the_first_question_reads_and_the_next_does_not(store: Shared, views: Views) -> None:
    store.count(1)
    first = views.ask(FIVE_MINUTES, NOW)
    store.count(1)
    second = views.ask(FIVE_MINUTES, NOW + 0.5)
    assert first.amounts == second.amounts == {"e": 1}
    assert store.readings == 1


def test_a_beat_reads_again_what_was_asked_for(store: Shared, views: Views) -> None:
    views.ask(FIVE_MINUTES, NOW)
    store.count(2)
    views.beat(NOW + 1)
    view = views.ask(FIVE_MINUTES, NOW + 1)
    assert view.amounts == {"e": 2}
    assert view.read_at == NOW + 1
    assert not view.stale


def test_nobody_asking_costs_no_reading(store: Shared, views: Views) -> None:
    views.beat(NOW)
    assert store.readings == 0


def test_a_view_that_nobody_wants_any_more_is_let_go(store: Shared, views: Views) -> None:
    views.ask(FIVE_MINUTES, NOW)
    views.beat(NOW + KEEP_SECONDS + 1)
    assert store.readings == 1


def test_an_hour_is_read_again_every_twelve_seconds(store: Shared, views: Views) -> None:
    hour = Subject("green", 3600)
    views.ask(hour, NOW)
    for second in range(1, 25):
        views.beat(NOW + second)
    assert store.readings == 3
    assert not views.ask(hour, NOW + 25).stale


def test_an_outage_leaves_the_last_figures_marked_stale(store: Shared, views: Views) -> None:
    store.count(3)
    views.ask(FIVE_MINUTES, NOW)
    store.away = True
    with pytest.raises(StateUnavailable):
        views.beat(NOW + 4)
    view = views.ask(FIVE_MINUTES, NOW + 4)
    assert view.amounts == {"e": 3}
    assert view.stale


def test_during_an_outage_only_the_first_question_waits(store: Shared, views: Views) -> None:
    store.away = True
    for window in (60, 61, 62):
        view = views.ask(Subject("green", window), NOW)
        assert view.stale
        assert view.amounts == {}
    assert store.readings == 1


def test_figures_come_back_with_the_store(store: Shared, views: Views) -> None:
    store.away = True
    views.ask(FIVE_MINUTES, NOW)
    store.away = False
    store.count(1)
    views.beat(NOW + 1)
    view = views.ask(FIVE_MINUTES, NOW + 1)
    assert view.amounts == {"e": 1}
    assert not view.stale


def test_an_emptied_store_is_believed(store: Shared, views: Views) -> None:
    store.count(1)
    views.ask(FIVE_MINUTES, NOW)
    store._tallies.clear()
    views.beat(NOW + 1)
    assert views.ask(FIVE_MINUTES, NOW + 1).amounts == {}


def test_many_windows_cost_a_bounded_number_of_readings(store: Shared, views: Views) -> None:
    for window in range(1, 3 * MOST_VIEWS):
        views.ask(Subject("green", window), NOW + window / 1000)
    store.readings = 0
    views.beat(NOW + 1)
    assert store.readings == MOST_VIEWS


def test_the_memory_of_one_process_is_read_at_each_question() -> None:
    memory = MemoryStore()
    views = Views(memory, patience_seconds=3.5)
    views.ask(FIVE_MINUTES, NOW)
    memory.add({keys.metrics_slice("green", 1_700_000_000, 10): {"e": 1}}, ttl_seconds=100)
    assert views.ask(FIVE_MINUTES, NOW).amounts == {"e": 1}


def test_many_who_ask_for_windows_that_nobody_asked_for_read_one_after_the_other() -> None:
    class Slow(Shared):
        at_once = 0
        most_at_once = 0

        def totals(self, keys: Sequence[str]) -> dict[str, float]:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                time.sleep(0.02)
                return super().totals(keys)
            finally:
                self.at_once -= 1

    store = Slow()
    views = Views(store, patience_seconds=3.5)
    subjects = [Subject("green", 1000 + number) for number in range(60)]
    with ThreadPoolExecutor(len(subjects)) as threads:
        found = list(threads.map(lambda subject: views.ask(subject, NOW), subjects))
    assert store.most_at_once == 1
    assert store.readings == sum(not view.stale for view in found)
    assert store.readings < len(subjects) / 2
