"""Calls that block without yielding, under threading, gevent and eventlet alike.

Where gevent or eventlet made threads green, a lock of the standard library is green too. A real
thread that waits for such a lock stops every green thread for ever: its owner cannot be switched
to from there. One log line is enough, since each log handler has a lock. So what is called here
is C code and nothing else: no logging, no lock of the host, no code that might come to one.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_REAL_THREADS = 16
_Apply = Callable[..., tuple[Any, Exception | None]]


def green_library() -> str | None:
    """`gevent` or `eventlet`, if it made the threads of this process green; else None."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        return "gevent"
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        return "eventlet"
    return None


class Native:
    """Makes C calls in real threads where threads are green; elsewhere simply makes them.

    (A standard thread pool's `result(timeout)` froze gevent's loop, therefore the libraries' own.)
    """

    def __init__(self) -> None:
        self._made: tuple[tuple[int, str | None], _Apply] | None = None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `function(...)`, which is C code; only the calling green thread waits.

        Raises:
            Exception: whatever the function raises.
        """
        # Anew in each process, and when a library patched threads since.
        here = (os.getpid(), green_library())
        if self._made is None or self._made[0] != here:
            self._made = (here, _choose(here[1]))
        result, fault = self._made[1](_caught, function, args, kwargs)
        if fault is not None:
            raise fault
        return result  # type: ignore[no-any-return]

    def addresses(self, host: str) -> list[str]:
        """The IP addresses of a name, in the resolver's order, without repeats.

        Raises:
            OSError: it cannot be resolved.
        """
        found = self.call(_getaddrinfo(), host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _caught(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Exception | None]:
    # gevent's pool prints what it sees raised.
    try:
        return function(*args, **kwargs), None
    except Exception as exc:
        return None, exc


def _choose(library: str | None) -> _Apply:
    if library == "gevent":
        from gevent.threadpool import ThreadPool

        pool = ThreadPool(_REAL_THREADS)
        return lambda *args: pool.apply(_caught, args[1:])
    if library == "eventlet":
        from eventlet import tpool

        return lambda *args: tpool.execute(*args)
    return lambda *args: _caught(*args[1:])


def _getaddrinfo() -> Any:
    """The C function itself; eventlet and gevent have Python of their own in its place."""
    import _socket

    return _socket.getaddrinfo
