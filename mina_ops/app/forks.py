"""Calls methods in forked children, which inherit locks and flags, but no thread."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def call_in_children(method: Callable[[], None]) -> None:
    """Call a bound method in each process that is forked from this one, before it does anything.

    For example a lock that another thread of the parent held at that moment would stay locked in
    the child for ever. The method's object may be collected as if this were not there.
    """
    known = weakref.WeakMethod(method)

    def call() -> None:
        living = known()
        if living is not None:
            living()

    os.register_at_fork(after_in_child=call)
