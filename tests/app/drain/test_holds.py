from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from mina_ops.app.drain.holds import Holds
from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.streams.kept import Kept


def at_once(work: Callable[[], None]) -> None:
    work()


def never(_: Callable[[], None]) -> None:
    return None


def test_a_hold_ends_with_its_block_or_its_release() -> None:
    holds = Holds(Kept(MemoryStore(), "own"))
    with holds.take("audio", "1", None, "sid"):
        assert holds.sids() == {"sid"}
    assert holds.active() == []
    hold = holds.take("audio", "1", None, None)
    hold.release()
    hold.release()
    assert holds.active() == []


def test_two_holds_of_one_name_are_two() -> None:
    holds = Holds(Kept(MemoryStore(), "own"))
    first = holds.take("audio", "1", None, "sid")
    holds.take("audio", "1", None, "sid")
    first.release()
    assert len(holds.active()) == 1


def test_a_name_that_a_client_chose_is_short_and_shows_as_it_is() -> None:
    holds = Holds(Kept(MemoryStore(), "own"))
    hold = holds.take("audio", "\x1b[2J" + "x" * 900_000, None, "sid")
    assert hold.name == "audio:?[2J" + "x" * 124 + "..."
    assert holds.take("a\nb", "7", None, None).name == "a?b:7"


def test_a_hold_of_the_process_belongs_to_no_session() -> None:
    holds = Holds(Kept(MemoryStore(), "own"))
    holds.take("upload", "7", None, None)
    assert holds.sids() == set()
    assert [hold.name for hold in holds.active()] == ["upload:7"]


def test_a_flush_is_called_once_and_ends_the_hold() -> None:
    holds, flushed = Holds(Kept(MemoryStore(), "own")), []
    holds.take("audio", "1", lambda: flushed.append(1), None)
    holds.flush_all(at_once)
    holds.flush_all(at_once)
    assert flushed == [1]
    assert holds.active() == []
    assert holds.give_up(0.0) == []


def test_what_cannot_be_flushed_is_named(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("no disk")

    holds = Holds(Kept(MemoryStore(), "own"))
    holds.take("audio", "fails", fail, None)
    holds.take("audio", "has none", None, None)
    with caplog.at_level(logging.WARNING):
        holds.flush_all(at_once)
    assert sorted(holds.give_up(0.0)) == ["audio:fails", "audio:has none"]
    assert holds.active() == []
    assert "no disk" in caplog.text


def test_a_flush_that_goes_on_is_given_its_time() -> None:
    holds = Holds(Kept(MemoryStore(), "own"))
    holds.take("audio", "slow", lambda: None, None)
    holds.flush_all(never)
    assert holds.give_up(60.0) == []
    assert holds.give_up(0.0) == ["audio:slow"]


def test_a_hold_that_begins_after_the_flush_is_flushed_too() -> None:
    holds, flushed = Holds(Kept(MemoryStore(), "own")), []
    holds.flush_all(at_once)
    holds.take("audio", "late", lambda: flushed.append(1), None)
    holds.flush_all(at_once)
    assert flushed == [1]
