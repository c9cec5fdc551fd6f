"""Run code beside requests, under threading, gevent and eventlet alike."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_NATIVE_THREADS = 16


class Threads:
    """Starts work in the background of this process; make one in each process, after any fork.

    `threading.Thread` is a greenlet where gevent or eventlet patched it, so a call that blocks
    without yielding would stop every request. `natively` runs such a call in a real thread and
    lets only the calling greenlet wait. (A standard thread pool's `result(timeout)` froze the
    loop under gevent, therefore the libraries' own.)
    """

    def __init__(self) -> None:
        self._natively = _choose()

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run `work()` in a daemon thread, green where threads are green; returns at once."""
        threading.Thread(target=work, name=f"mina_ops-{name}", daemon=True).start()

    def natively(self, call: Callable[[], T]) -> T:
        """The result of `call()`, made in a real thread; `call` must not raise."""
        result: T = self._natively(call)
        return result


def _choose() -> Callable[[Callable[[], Any]], Any]:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from gevent.threadpool import ThreadPool

        pool = ThreadPool(_NATIVE_THREADS)
        return lambda call: pool.apply(call)
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        from eventlet import tpool

        return lambda call: tpool.execute(call)
    return lambda call: call()
