"""What a mark says of the events that its client has had."""

from __future__ import annotations

from mina_ops.app.recovery.model import Entry, EventId, Heard, Mark, mark_from, mark_text, missed


def entry(emitter: str, number: int, at: float = 100.0, skip: tuple[str, ...] = ()) -> Entry:
    return Entry(EventId(emitter, number), at, "room", skip, (f"{emitter}{number}",))


def mark(**heard: int) -> Mark:
    told = {name: Heard(last, at=100.0) for name, last in heard.items()}
    found = mark_from(mark_text(EventId("a", heard.get("a", 0)), told, "epoch", 100.0))
    assert found is not None
    return found


def names(found: dict[str, Entry]) -> list[str]:
    return list(found)


def test_a_mark_is_read_as_it_was_written() -> None:
    heard = {"a": Heard(3, {5, 6}, 100.0), "b": Heard(9, set(), 99.0)}
    found = mark_from(mark_text(EventId("a", 5), heard, "1f3a", 100.25))
    assert found is not None
    assert (found.event, found.epoch, found.at) == ("a.5", "1f3a", 100.25)
    assert (found.heard["a"].last, found.heard["a"].beyond) == (3, {5, 6})
    assert found.heard["b"].last == 9


def test_what_is_no_mark_is_none() -> None:
    for text in (None, 7, "", "~mo1~", "~mo1~a.1@a.x@e@1", "~mo1~a.1@a.1@e@1.2.3", "x" * 9999):
        assert mark_from(text) is None


def test_what_came_after_the_mark_is_missed_whoever_said_it() -> None:
    log = [entry("a", 3), entry("b", 7), entry("a", 4), entry("b", 8)]
    assert names(missed(mark(a=3, b=7), "sid", log, [])) == ["a.4", "b.8"]


def test_an_event_that_overtook_another_is_not_missed_and_the_other_is() -> None:
    heard = Heard()
    for number in (1, 2, 4):
        heard.note(number, 100.0)
    told = mark_from(mark_text(EventId("a", 4), {"a": heard}, "epoch", 100.0))
    assert told is not None
    log = [entry("a", number) for number in (2, 3, 4, 5)]
    assert names(missed(told, "sid", log, [])) == ["a.3", "a.5"]


def test_an_event_in_two_rooms_or_not_yet_in_the_log_is_missed_once() -> None:
    log = [entry("a", 4), entry("a", 4)]
    assert names(missed(mark(a=3), "sid", log, [entry("a", 4), entry("a", 5)])) == ["a.4", "a.5"]


def test_who_was_skipped_is_skipped_again() -> None:
    assert names(missed(mark(a=3), "sid", [entry("a", 4, skip=("sid",))], [])) == []


def test_of_an_emitter_that_the_mark_does_not_name_only_what_is_new_is_missed() -> None:
    log = [entry("c", 1, at=50.0), entry("c", 2, at=101.0)]
    assert names(missed(mark(a=3), "sid", log, [])) == ["c.2"]


def test_a_number_that_never_comes_is_not_waited_for_for_ever() -> None:
    heard = Heard()
    for number in (1, *range(3, 100)):
        heard.note(number, 100.0)
    assert len(heard.beyond) <= 64
