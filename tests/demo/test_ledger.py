from __future__ import annotations

import pytest

from mina_ops.demo.ledger import MemoryLedger, RedisLedger, Tally, open_ledger, tally


def test_memory_serves_without_redis() -> None:
    ledger = open_ledger(None)
    assert isinstance(ledger, MemoryLedger)
    for seq in (1, 2, 2):
        ledger.record("a", seq)
    assert ledger.handled() == {"a": [1, 2, 2]}


def test_both_colours_write_one_ledger_in_redis(redis_url: str) -> None:
    blue, green = RedisLedger(redis_url), RedisLedger(redis_url)
    blue.ping()
    blue.record("a", 1)
    green.record("a", 2)
    green.record("b", 1)
    assert blue.handled() == green.handled() == {"a": [1, 2], "b": [1]}


@pytest.mark.parametrize(
    ("sent", "handled", "expected"),
    [
        ({"a": 3}, {"a": [1, 2, 3]}, Tally(3, 0, 0, 0)),
        ({"a": 3}, {"a": [1, 3]}, Tally(3, 1, 0, 0)),
        ({"a": 3}, {}, Tally(3, 3, 0, 0)),
        ({"a": 3}, {"a": [1, 2, 2, 3, 3, 3]}, Tally(3, 0, 3, 0)),
        ({"a": 3, "b": 2}, {"a": [1, 3, 2], "b": [2]}, Tally(5, 1, 0, 1)),
        ({}, {}, Tally(0, 0, 0, 0)),
    ],
)
def test_losses_repeats_and_disorder_are_told_apart(
    sent: dict[str, int], handled: dict[str, list[int]], expected: Tally
) -> None:
    assert tally(sent, handled) == expected
