"""How a stream paces itself: it learns how long answers take, and never buries a slow server."""

from __future__ import annotations

from mina_ops.app.clients.pace import LONGEST_ACK_SECONDS, LONGEST_PAUSE_SECONDS, Pace


def test_a_silent_server_is_asked_one_at_a_time_and_more_and_more_rarely() -> None:
    pace = Pace(8, 2.0)
    waits = []
    for _ in range(8):
        pace.silent()
        waits.append(pace.patience)
    assert pace.allowed == 1
    assert waits[:4] == [4, 8, 16, 32]
    assert waits[-1] == LONGEST_ACK_SECONDS


def test_answers_that_take_long_are_waited_for_twice_as_long() -> None:
    pace = Pace(8, 2.0)
    for _ in range(20):
        pace.answered(12.0)
    assert round(pace.patience, 6) == 24
    for _ in range(40):
        pace.answered(0.01)
    assert pace.patience == 2


def test_what_was_sent_twice_teaches_nothing_of_the_time_and_lets_more_be_under_way() -> None:
    pace = Pace(4, 2.0)
    pace.silent()
    for _ in range(20):
        pace.answered(None)
    assert (pace.allowed, pace.patience) == (4, 4)


def test_a_refused_chunk_is_tried_again_after_pauses_that_grow_until_it_is_taken() -> None:
    pace = Pace(8, 2.0)
    pauses = [pace.refused(0.03) for _ in range(5)]
    assert [round(pause, 4) for pause in pauses] == [0.03, 0.03, 0.03, 0.045, 0.0675]
    assert max(pace.refused(0.03) for _ in range(10)) == LONGEST_PAUSE_SECONDS
    pace.answered(0.1)
    assert pace.refused(0.03) == 0.03
