from __future__ import annotations

from dataclasses import replace

from mina_ops.app.identity import Identity
from mina_ops.app.state import MemoryStore
from mina_ops.app.state.presence import Presence
from mina_ops.errors import StateUnavailable


def _process(store: MemoryStore, environment: str, instance: str) -> Presence:
    return Presence(store, _identity(environment, instance), ttl_seconds=30, beat_seconds=1)


def _identity(environment: str, instance: str) -> Identity:
    return Identity(environment, "v2.5.0", instance, ("blue", "green"))


def test_both_colours_are_seen_from_either() -> None:
    store = MemoryStore()
    blue, green = _process(store, "blue", "0"), _process(store, "green", "1")
    green.contribute("connections", lambda: {"total": 7})
    for process in (blue, green, blue):
        process.beat(0.0)
    seen = blue.peers("green")
    assert [report["connections"] for report in seen.reports.values()] == [{"total": 7}]
    assert [report["instance"] for report in seen.reports.values()] == ["1"]
    assert seen.stale is False


def test_a_process_sees_itself_as_it_is_now_even_before_its_first_beat() -> None:
    counts = [3]
    identity = _identity("blue", "0")
    process = Presence(MemoryStore(), identity, ttl_seconds=30, beat_seconds=1)
    process.contribute("connections", lambda: counts[0])
    process_id = identity.process_id
    assert process.peers().reports[process_id]["connections"] == 3
    process.beat(0.0)
    counts[0] = 4
    assert process.peers().reports[process_id]["connections"] == 4


def test_who_leaves_is_gone_at_once() -> None:
    store = MemoryStore()
    first, second = _process(store, "blue", "0"), _process(store, "blue", "1")
    first.beat(0.0)
    second.beat(0.0)
    assert len(second.peers().reports) == 2
    first.leave()
    second.beat(0.0)
    assert [report["instance"] for report in second.peers().reports.values()] == ["1"]


def test_a_view_that_cannot_be_renewed_is_kept_and_grows_stale() -> None:
    class Away(MemoryStore):
        shared = True
        away = False

        def members(self, roster: str) -> dict[str, bytes]:
            if self.away:
                raise StateUnavailable("away")
            return super().members(roster)

    store = Away()
    process = _process(store, "blue", "0")
    store.away = True
    assert process.peers().stale is True
    store.away = False
    process.beat(0.0)
    assert process.peers().stale is False
    store.away = True
    read_at = process._views["blue"].read_at
    process._views["blue"] = replace(process._views["blue"], read_at=read_at - 60.0)
    seen = process.peers()
    assert seen.stale is True
    assert seen.age_seconds is not None
    assert seen.age_seconds > 59.0
    assert len(seen.reports) == 1
