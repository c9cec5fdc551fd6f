from __future__ import annotations

from mina_ops.app.sessions.model import Count, count_from, sid_prefix, total


def test_a_sid_begins_with_colour_and_instance_before_a_tilde() -> None:
    assert sid_prefix("blue", "0") == "blue.0~"


def test_counts_of_processes_add_up_field_by_field() -> None:
    first = Count(3, {"websocket": 2, "polling": 1}, {"/": 3})
    second = Count(2, {"websocket": 2}, {"/live": 2})
    assert total([first, second]) == Count(5, {"websocket": 4, "polling": 1}, {"/": 3, "/live": 2})


def test_no_process_has_no_sessions() -> None:
    assert total([]) == Count()


def test_a_count_survives_its_report() -> None:
    count = Count(3, {"websocket": 3}, {"/": 2})
    assert count_from(count.as_json()) == count


def test_a_process_that_says_nothing_of_connections_has_none() -> None:
    assert count_from(None) == Count()
