"""Wait for a condition by asking, never by sleeping for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 4
"""How much longer a busy machine may take: a deadline ends a test that hangs, and judges none."""

_LONGEST_INTERVAL = 0.1
_SHARE_OF_WAIT = 0.05


def eventually(
    predicate: Callable[[], T],
    timeout: float = 5.0,
    message: str = "the condition did not come true",
    *,
    interval: float = 0.02,
    ignoring: tuple[type[Exception], ...] = (),
) -> T:
    """The first true value of `predicate`, asked for `PATIENCE` times `timeout` seconds at most.

    Args:
        timeout: seconds that it takes on an idle machine, at most.
        interval: seconds between two questions. They grow to 0.1 in a long wait: most ask a server,
            and tests that wait side by side would leave it no processor to get there.
        ignoring: exceptions of the predicate that mean "not yet".

    Raises:
        AssertionError: it never came true; holds `message` and the last value or exception.
    """
    seconds, began = PATIENCE * timeout, time.monotonic()
    while True:
        try:
            last: object = predicate()
            if last:
                return last  # type: ignore[return-value]
        except ignoring as error:
            last = error
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"{message} within {seconds:g} s; last: {last!r}")
        time.sleep(max(interval, min(_LONGEST_INTERVAL, waited * _SHARE_OF_WAIT)))
