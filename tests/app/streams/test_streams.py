from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from mina_ops.app.sessions.session import Session
from mina_ops.app.state import keys
from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.streams import acknowledged as marks
from mina_ops.app.streams import stream as module
from mina_ops.app.streams import streams as service
from mina_ops.app.streams.errors import OutOfOrder, SessionLeaves, StreamTaken
from mina_ops.app.streams.streams import Streams
from mina_ops.errors import InvalidRequest, StateUnavailable
from tests.support.wait import eventually

_NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _nobody_looks_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that waits goes on because it is woken, never because some time is over."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 3600.0)


class FailingStore(MemoryStore):
    """A store that is away while `away` is set, and counts how often it is asked."""

    away = False
    asked = 0

    def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        self._ask()
        return super().get_all(keys)

    def advance_all(self, marks: Mapping[str, int], *, ttl_seconds: float) -> None:
        self._ask()
        for key, number in marks.items():
            self.put(key, str(number).encode(), ttl_seconds=ttl_seconds)

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise StateUnavailable("away")


@pytest.fixture
def store() -> FailingStore:
    return FailingStore()


@pytest.fixture
def blue(store: FailingStore) -> Streams:
    return Streams(store)


@pytest.fixture
def green(store: FailingStore) -> Streams:
    return Streams(store)


def take(streams: Streams, seq: int, stream: str = "s") -> bool:
    with streams.receive(stream, seq) as fresh:
        return fresh


def test_a_chunk_is_fresh_once(blue: Streams) -> None:
    assert [take(blue, seq) for seq in (1, 2, 2, 1, 3)] == [True, True, False, False, True]


def test_streams_do_not_know_each_other(blue: Streams) -> None:
    assert take(blue, 1, "a")
    assert take(blue, 1, "b")


def test_the_other_colour_knows_what_was_acknowledged(blue: Streams, green: Streams) -> None:
    for seq in (1, 2, 3):
        take(blue, seq)
    assert [take(green, seq) for seq in (3, 4)] == [False, True]
    assert green.mark("s") == 4


def test_a_body_that_fails_leaves_its_chunk_unacknowledged(blue: Streams, green: Streams) -> None:
    with pytest.raises(ZeroDivisionError), blue.receive("s", 1):
        raise ZeroDivisionError
    assert blue.mark("s") == 0
    assert take(green, 1)


def test_an_effect_that_outlived_its_process_is_not_repeated(blue: Streams, green: Streams) -> None:
    kept = 0

    def keep(streams: Streams, seq: int) -> bool:
        nonlocal kept
        with streams.receive("s", seq, stored=lambda: kept) as fresh:
            if fresh:
                kept = seq
        return fresh

    assert keep(blue, 1)
    kept = 2  # blue was killed here: the effect of 2 is kept, its mark was never written
    assert [keep(green, seq) for seq in (2, 3)] == [False, True]


def test_an_effect_that_was_kept_although_its_body_raised_is_not_repeated(blue: Streams) -> None:
    take(blue, 1)
    with pytest.raises(ZeroDivisionError), blue.receive("s", 2):
        raise ZeroDivisionError
    with blue.receive("s", 2, stored=lambda: 2) as fresh:
        assert not fresh
    assert take(blue, 3)


def test_a_failed_body_does_not_let_the_next_chunk_pass_it(
    blue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GAP_SECONDS", 0.05)
    take(blue, 1)
    with pytest.raises(ZeroDivisionError), blue.receive("s", 2):
        raise ZeroDivisionError
    with pytest.raises(OutOfOrder), blue.receive("s", 3):
        raise AssertionError("3 must not be handled before 2")
    assert [take(blue, 2), take(blue, 3)] == [True, True]


def test_the_mark_is_in_the_store_when_the_body_has_ended(
    blue: Streams, store: FailingStore
) -> None:
    with blue.receive("s", 1):
        assert store.get(keys.stream_mark("s")) is None
    assert store.get(keys.stream_mark("s")) == b"1"


def test_chunks_that_arrive_in_any_order_are_handled_in_order(
    blue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GAP_SECONDS", 60.0)
    monkeypatch.setattr(module, "UNSURE_GAP_SECONDS", 60.0)
    handled: list[int] = []

    def handle(seq: int) -> None:
        with blue.receive("s", seq) as fresh:
            if fresh:
                time.sleep(0.001)
                handled.append(seq)

    threads = [threading.Thread(target=handle, args=(seq,)) for seq in range(30, 0, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert handled == list(range(1, 31))


def test_a_repeat_waits_for_the_first_and_is_no_longer_fresh(blue: Streams) -> None:
    entered, leave = threading.Event(), threading.Event()
    seen: list[bool] = []

    def first() -> None:
        with blue.receive("s", 1):
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(60)
    repeat = threading.Thread(target=lambda: seen.append(take(blue, 1)))
    repeat.start()
    eventually(lambda: blue._streams["s"].arrived == [1])
    assert seen == []
    leave.set()
    thread.join(60)
    repeat.join(60)
    assert seen == [False]


def test_a_missing_chunk_is_waited_for_and_then_asked_for(
    blue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GAP_SECONDS", 0.05)
    take(blue, 1)
    with pytest.raises(OutOfOrder, match="2 is missing"), blue.receive("s", 3):
        raise AssertionError("3 must not be handled before 2")
    assert [take(blue, 2), take(blue, 3)] == [True, True]


def test_a_stream_whose_mark_the_store_lost_goes_on_where_its_client_is(
    blue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNSURE_GAP_SECONDS", 0.05)
    assert [take(blue, 57), take(blue, 57), take(blue, 58)] == [True, False, True]


def test_a_chunk_whose_mark_is_slow_to_read_is_not_passed_by_a_later_one(
    blue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GAP_SECONDS", 0.05)
    monkeypatch.setattr(module, "UNSURE_GAP_SECONDS", 0.05)
    handled: list[int] = []
    asked, answer = threading.Event(), threading.Event()

    def handle(seq: int, read: Callable[[], int]) -> None:
        with blue.receive("s", seq, stored=read) as fresh:
            if fresh:
                handled.append(seq)

    def slow() -> int:
        asked.set()
        answer.wait(60)
        return 9

    first = threading.Thread(target=handle, args=(10, slow))
    first.start()
    asked.wait(60)
    looks, look = list[int](), module.Stream._refuse_what_is_far

    def looked(stream: Any, name: str, seq: int, **how: bool) -> None:
        looks.append(seq)
        look(stream, name, seq, **how)

    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(module.Stream, "_refuse_what_is_far", looked)
    second = threading.Thread(target=handle, args=(12, lambda: 9))
    second.start()
    # Between two looks it waits as long as it would for a chunk that has not arrived.
    eventually(lambda: len(looks) > 5)
    assert handled == []
    monkeypatch.setattr(module, "GAP_SECONDS", 60.0)
    answer.set()
    first.join(60)
    handle(11, lambda: 9)
    second.join(60)
    assert handled == [10, 11, 12]


def test_without_the_store_memory_decides_and_nothing_is_refused(
    blue: Streams, store: FailingStore
) -> None:
    take(blue, 1)
    store.away = True
    assert [take(blue, seq) for seq in (2, 2, 3)] == [True, False, True]


def test_a_store_that_is_away_is_not_asked_for_every_chunk(
    blue: Streams, store: FailingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "STORE_PAUSE_SECONDS", 3600.0)
    store.away = True
    for seq in range(1, 50):
        take(blue, seq)
    assert store.asked == 1


def test_what_the_store_missed_is_saved_when_it_is_back(
    blue: Streams, green: Streams, store: FailingStore
) -> None:
    store.away = True
    take(blue, 1)
    with pytest.raises(StateUnavailable):
        blue.beat(0.0)
    store.away = False
    blue.beat(0.0)
    assert take(green, 1) is False


def test_a_session_costs_the_store_one_question_and_one_write_for_each_chunk(
    blue: Streams, store: FailingStore
) -> None:
    for seq in range(1, 11):
        take(blue, seq)
    assert store.asked == 1 + 10


def test_idle_streams_are_forgotten_and_known_again_from_the_store(
    blue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(blue, 1)
    monkeypatch.setattr(service, "IDLE_SECONDS", -1.0)
    blue.beat(0.0)
    assert blue._streams == {}
    assert [take(blue, 1), take(blue, 2)] == [False, True]


@pytest.mark.parametrize(
    ("stream", "seq", "field"),
    [
        ("", 1, "stream"),
        ("a b", 1, "stream"),
        ("x" * 201, 1, "stream"),
        (7, 1, "stream"),
        ("s", 0, "seq"),
        ("s", True, "seq"),
        ("s", "1", "seq"),
    ],
)
def test_an_id_or_a_number_that_cannot_be_used_is_named(
    blue: Streams, stream: Any, seq: Any, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught, blue.receive(stream, seq):
        raise AssertionError("it must not be handled")
    assert caught.value.field == field


def session_of(run: str | None = None, stream: str = "s") -> Session:
    """A session whose client says which life of it sends a stream."""
    session = Session(str(next(_NUMBERS)))
    if run is not None:
        session.runs[stream] = run
    return session


def streams_of(store: FailingStore, session: Session) -> Streams:
    return Streams(store, lambda: session)


def test_a_page_that_begins_anew_is_told_the_mark_instead_of_being_acknowledged(
    store: FailingStore,
) -> None:
    page = session_of("old@0")
    streams = streams_of(store, page)
    assert [take(streams, seq) for seq in (1, 2, 3)] == [True] * 3
    page.runs["s"] = "new@0"
    with pytest.raises(StreamTaken) as told:
        take(streams, 1)
    assert told.value.answer is not None
    assert told.value.answer["mark"] == 3
    page.runs["s"] = "new@3"
    assert [take(streams, seq) for seq in (4, 5)] == [True, True]


def test_the_other_colour_knows_whose_stream_it_is(store: FailingStore) -> None:
    assert take(streams_of(store, session_of("first@0")), 1)
    green = streams_of(store, session_of("second@0"))
    with pytest.raises(StreamTaken):
        take(green, 1)
    assert take(streams_of(store, session_of("first@0")), 2)


def test_a_stream_that_another_took_over_is_refused_to_the_one_before(store: FailingStore) -> None:
    tab = session_of("a@0")
    streams = streams_of(store, tab)
    assert take(streams, 1)
    tab.runs["s"] = "b@1"
    assert take(streams, 2)
    tab.runs["s"] = "a@0"
    for seq in (1, 2, 3):
        with pytest.raises(StreamTaken):
            take(streams, seq)


def test_a_client_that_says_no_run_and_counts_from_one_again_is_refused(blue: Streams) -> None:
    for seq in range(1, 70):
        take(blue, seq)
    with pytest.raises(StreamTaken):
        take(blue, 1)


def test_a_number_far_beyond_the_mark_is_refused_at_once_and_changes_nothing(
    store: FailingStore, green: Streams
) -> None:
    owner = Streams(store)
    assert take(owner, 1)
    before = time.monotonic()
    with pytest.raises(OutOfOrder):
        take(green, 1_000_000_000)
    assert time.monotonic() - before < module.GAP_SECONDS
    assert take(owner, 2)


def test_chunks_that_wait_for_one_that_is_missing_hold_few_threads(blue: Streams) -> None:
    assert take(blue, 1)
    refused = list[int]()

    def send(seq: int) -> None:
        try:
            take(blue, seq)
        except OutOfOrder:
            refused.append(seq)

    threads = [threading.Thread(target=send, args=(seq,)) for seq in range(3, 203)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(refused) >= 200 - module.MOST_WAITING - 1, 5, "all of them wait")
    assert take(blue, 2)
    for thread in threads:
        thread.join(10)


def test_chunks_that_wait_are_each_woken_for_their_own_turn(
    blue: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = list[int](), module.Stream._refuse_what_is_far

    def looked(stream: Any, name: str, seq: int, **how: bool) -> None:
        looks.append(seq)
        look(stream, name, seq, **how)

    monkeypatch.setattr(module.Stream, "_refuse_what_is_far", looked)
    assert take(blue, 1)
    stream, last = blue._streams["s"], 26
    with blue.receive("s", 2):
        threads = [threading.Thread(target=take, args=(blue, seq)) for seq in range(3, last + 1)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(stream.turns) == len(threads))
        assert sorted(looks) == list(range(3, last + 1))
    for thread in threads:
        thread.join(60)
    assert blue.mark("s") == last
    # One look when it comes, and one or two when the one before it has begun and ended.
    assert len(looks) <= 3 * len(threads)


def test_what_waits_ends_with_its_session(store: FailingStore) -> None:
    session = session_of()
    streams = streams_of(store, session)
    assert take(streams, 1)
    ended = list[type[BaseException]]()

    def send() -> None:
        try:
            take(streams, 3)
        except SessionLeaves as exc:
            ended.append(type(exc))

    thread = threading.Thread(target=send)
    thread.start()
    eventually(lambda: session.receiving == 1, 5, "it does not wait")
    session.end()
    thread.join(5)
    assert ended == [SessionLeaves]
    assert session.receiving == 0


def test_a_session_that_leaves_begins_no_chunk(store: FailingStore) -> None:
    session = session_of()
    session.leave()
    with pytest.raises(SessionLeaves):
        take(streams_of(store, session), 1)
    assert take(Streams(store), 1)


def test_streams_of_two_users_never_meet(blue: Streams) -> None:
    for user in ("ada", "eve"):
        with blue.receive("s", 1, user=user) as fresh:
            assert fresh
