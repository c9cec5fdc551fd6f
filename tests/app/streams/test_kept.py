"""A chunk that still runs in the process its client left is not taken by another one."""

from __future__ import annotations

import pytest

from mina_ops.app.sessions.sessions import Session
from mina_ops.app.state import keys
from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.streams.errors import OutOfOrder, SessionLeaves, StreamKept
from mina_ops.app.streams.streams import Streams

KEEPER = keys.keeper_of(keys.stream_mark("s"))


def session(sid: str) -> Session:
    """One whose client says its run, so that it understands answers."""
    return Session(sid, runs={"s": "run@0"})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def process(store: MemoryStore, name: str, own: Session) -> Streams:
    return Streams(store, lambda: own, name)


def test_a_stream_in_work_elsewhere_is_refused_until_that_has_ended(store: MemoryStore) -> None:
    leaving, coming = session("one"), session("two")
    blue, green = process(store, "blue", leaving), process(store, "green", coming)
    with blue.receive("s", 1):
        blue.kept.keep([leaving])
        # Its client went away although the body runs.
        leaving.ended = leaving.leaving = True
        blue.kept.let_go([leaving])
        blue.beat(0.0)
        with pytest.raises(StreamKept) as refused, green.receive("s", 1):
            pytest.fail("both would handle it")
        assert refused.value.answer is not None
        assert (refused.value.answer["code"], refused.value.answer["retry_after_ms"]) == (
            "out_of_order",
            30,
        )
    blue.beat(0.0)
    with green.receive("s", 1) as fresh:
        assert not fresh
    with green.receive("s", 2) as fresh:
        assert fresh


def test_what_is_not_in_work_is_let_go_at_once(store: MemoryStore) -> None:
    leaving = session("one")
    blue = process(store, "blue", leaving)
    blue.kept.keep([leaving])
    assert store.get(KEEPER) == b"blue"
    blue.kept.let_go([leaving])
    assert store.get(KEEPER) is None


def test_a_client_that_comes_back_to_a_process_goes_on_where_the_other_one_stopped(
    store: MemoryStore,
) -> None:
    visits = [session("first on blue"), session("on green"), session("second on blue")]
    blue = Streams(store, lambda: visits[0], "blue")
    green = process(store, "green", visits[1])
    for seq, streams in ((1, blue), (2, green), (3, green)):
        with streams.receive("s", seq) as fresh:
            assert fresh
    # Recovered, it bears the same sid of Socket.IO all the time.
    visits[0] = visits[2]
    with blue.receive("s", 4) as fresh:
        assert fresh


def test_a_killed_process_keeps_nothing_for_long(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mina_ops.app.streams.kept.KEPT_SECONDS", 0.0)
    leaving = session("one")
    process(store, "blue", leaving).kept.keep([leaving])
    with process(store, "green", session("two")).receive("s", 1) as fresh:
        assert fresh


def test_a_chunk_of_an_ended_session_is_never_begun(store: MemoryStore) -> None:
    gone = session("one")
    blue = process(store, "blue", gone)
    # It waited for its turn of a busy loop, and its client sends it elsewhere by now.
    gone.ended = True
    with pytest.raises(SessionLeaves), blue.receive("s", 1):
        pytest.fail("it is begun")


@pytest.mark.parametrize("runs", [{}, {"s": "run@0"}])
def test_only_clients_that_say_their_run_are_told_what_is_missing(
    store: MemoryStore, runs: dict[str, str]
) -> None:
    blue = process(store, "blue", Session("one", runs=runs))
    with blue.receive("s", 1):
        pass
    with pytest.raises(OutOfOrder) as refused, blue.receive("s", 900):
        pytest.fail("it is far ahead")
    assert (refused.value.answer is not None) == bool(runs)
