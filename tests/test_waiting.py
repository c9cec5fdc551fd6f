from __future__ import annotations

import time
from itertools import count
from operator import not_

import pytest

from mina_ops.waiting import wait_until


def test_what_comes_true_ends_the_wait_at_once() -> None:
    numbers = count()
    assert wait_until(lambda: next(numbers) >= 3, 60, pause=0) is True
    assert next(numbers) == 4


def test_the_last_value_is_returned_when_the_time_is_over() -> None:
    began = time.monotonic()
    assert wait_until(list, 0.05) == []
    assert time.monotonic() - began >= 0.05


def test_a_wait_of_no_time_looks_once() -> None:
    looks = count(1)
    assert wait_until(lambda: next(looks), 0, enough=lambda _: False) == 1


def test_what_is_enough_can_be_said() -> None:
    left = [["ana", "ben"], ["ben"], []]
    assert wait_until(lambda: left.pop(0), 60, pause=0, enough=not_) == []


def test_an_error_ends_the_wait() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, 60)
