from __future__ import annotations

import pytest

from mina_ops.app.metrics.outcomes import Outcome


@pytest.fixture
def told() -> list[bool]:
    return []


def test_a_block_that_ends_is_a_success(told: list[bool]) -> None:
    with Outcome(told.append):
        pass
    assert told == [True]


def test_a_block_that_raises_is_a_failure_and_the_error_goes_on(told: list[bool]) -> None:
    with pytest.raises(KeyError), Outcome(told.append):
        raise KeyError
    assert told == [False]


def test_a_block_can_fail_without_raising(told: list[bool]) -> None:
    with Outcome(told.append) as attempt:
        attempt.failure()
    assert told == [False]


def test_what_was_told_within_a_block_is_not_told_twice(told: list[bool]) -> None:
    def fail_twice() -> None:
        with Outcome(told.append) as attempt:
            attempt.failure()
            raise KeyError

    with pytest.raises(KeyError):
        fail_twice()
    assert told == [False]


def test_one_outcome_serves_for_several_blocks(told: list[bool]) -> None:
    attempt = Outcome(told.append)
    with attempt:
        attempt.failure()
    with attempt:
        pass
    assert told == [False, True]


def test_calls_tell_without_a_block(told: list[bool]) -> None:
    Outcome(told.append).success()
    Outcome(told.append).failure()
    assert told == [True, False]
