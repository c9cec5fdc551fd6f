"""Lets signals end a program as Ctrl-C does, so that what it began is cleaned up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def unwinding(*numbers: signal.Signals, once: bool = False) -> Iterator[None]:
    """Within it, each of the signals raises SystemExit in the main thread.

    Args:
        numbers: the signals; default: SIGTERM and SIGHUP.
        once: whether they are ignored after the first one, which lets the cleaning up finish.

    Raises:
        SystemExit: a signal came; the code is 128 and its number, as a shell reports it.
    """
    chosen = numbers or (signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        for each in chosen if once else ():
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in chosen}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
