from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from mina_ops.app.identity import Identity
from mina_ops.app.state import MemoryStore
from mina_ops.app.state.presence import Presence
from mina_ops.app.state.redis import RedisStore
from tests.support.wait import eventually

_NUMBERS = itertools.count(1)


class _Shared(MemoryStore):
    """Memory that several processes of a test have in common, and that says so."""

    shared = True


class _Counting(_Shared):
    """Counts whose reports were read how often."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0

    def members(self, roster: str) -> dict[str, bytes]:
        self.readings += 1
        return super().members(roster)


def _sum(reports: Sequence[Any]) -> int:
    return sum(reports)


def _process(store: Any, environment: str = "blue", total: int = 1, beat: float = 0.2) -> Presence:
    identity = Identity(environment, "v2.5.0", str(next(_NUMBERS)), ("blue", "green"))
    presence = Presence(store, identity, ttl_seconds=10, beat_seconds=beat)
    presence.contribute("connections", lambda: total, merge=_sum)
    return presence


def _beat(*processes: Presence) -> None:
    for process in processes:
        process.beat(0.0)


def _leaders(*processes: Presence) -> int:
    return sum(process.leads for process in processes)


def test_one_process_sums_up_for_all_of_both_colours() -> None:
    store = _Counting()
    blue = [_process(store, total=number) for number in (1, 2, 3)]
    green = _process(store, "green", total=10)
    _beat(*blue, green, *blue, green)
    for process in (*blue, green):
        assert process.summary("blue").processes == 3
        assert process.summary("blue").parts["connections"] == 6
        assert process.summary("green").parts["connections"] == 10
    assert _leaders(*blue) == 1


def test_a_beat_reads_no_report_of_others_but_for_one_process_of_a_colour() -> None:
    store = _Counting()
    fleet = [_process(store) for _ in range(20)]
    _beat(*fleet, *fleet)
    before = store.readings
    _beat(*fleet)
    assert store.readings == before + 1


def test_when_the_maker_is_killed_another_goes_on() -> None:
    store = _Shared()
    first, *others = [_process(store, total=number) for number in (1, 2, 4)]
    _beat(first, *others, *others)
    assert first.leads

    def taken_over() -> bool:
        _beat(*others)
        return _leaders(*others) == 1

    eventually(taken_over, 10.0, "one of the others to make the summary")
    number = others[0].summary().age_seconds
    assert number is not None


def test_who_leaves_hands_the_summary_over() -> None:
    store = _Shared()
    first, second = _process(store, total=1), _process(store, total=2)
    _beat(first, second)
    first.leave()

    def alone() -> bool:
        second.beat(0.0)
        return second.leads and second.summary().parts["connections"] == 2

    eventually(alone, 10.0, "the other to sum up itself alone")


def test_a_maker_that_hung_and_comes_back_stops_where_another_took_over() -> None:
    store = _Shared()
    first, second = _process(store), _process(store)
    _beat(first, second)

    def taken_over() -> bool:
        second.beat(0.0)
        return second.leads

    eventually(taken_over, 10.0, "the other to take over")
    _beat(first, second)
    assert (first.leads, second.leads) == (False, True)


def test_a_colour_of_which_all_died_is_summed_up_as_nobody() -> None:
    store = _Shared()
    dying = Identity("green", "v2.5.0", "0", ("blue", "green"))
    green = Presence(store, dying, ttl_seconds=0.5, beat_seconds=0.1)
    blue = _process(store)
    _beat(green, blue)
    assert blue.summary("green").processes == 1

    def gone() -> bool:
        blue.beat(0.0)
        return blue.summary("green").processes == 0

    eventually(gone, 10.0, "the summary of the dead colour to vanish")


def test_a_process_alone_is_summed_up_before_its_first_beat() -> None:
    summary = _process(MemoryStore(), total=7).summary()
    assert (summary.processes, summary.parts["connections"]) == (1, 7)


def test_versions_are_counted() -> None:
    store = _Shared()
    first, second = _process(store), _process(store)
    _beat(first, second, first, second)
    assert sum(second.summary().parts["version"].values()) == 2


@pytest.mark.parametrize("processes", [4, 40])
def test_a_beat_costs_the_same_commands_in_a_large_fleet(redis_url: str, processes: int) -> None:
    stores = [RedisStore.from_url(redis_url, timeout_seconds=5) for _ in range(processes)]
    fleet = [_process(store, beat=5.0) for store in stores]
    try:
        _beat(*fleet, *fleet)
        followers = [process for process in fleet if not process.leads]
        # Counted at our own clients: others use this Redis, too.
        before = sum(store.cost.commands for store in stores)
        _beat(*followers)
        after = sum(store.cost.commands for store in stores)
        # For each: its report, the roster, and both summaries at once.
        assert (len(followers), after - before) == (processes - 1, 3 * (processes - 1))
    finally:
        for store in stores:
            store.close()
