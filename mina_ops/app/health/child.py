"""Run one check in a forked child, where it may block, log and lock as it likes.

For checks of the host's that block without yielding (`native=True`) in a process whose threads
are green. A real thread would not do: what it calls may log, and one log line from there stops
every green thread for ever, see `mina_ops.app.native`.

The child must not run on the green loop that it inherits, since that would serve the parent's
requests twice. So its main thread waits in C, and the check runs in a new real thread, which has
a loop of its own. Whatever happens, the child ends soon after its deadline.
"""

from __future__ import annotations

import gc
import json
import os
import posix
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Any

from mina_ops.app.health.model import Result
from mina_ops.app.native import green_library
from mina_ops.waiting import wait_until

_MOST_BYTES = 60_000
_TO_DEFAULT = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGABRT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGURG, signal.SIGCHLD),
)


def in_child(attempt: Callable[[], Result], *, seconds: float) -> Result:
    """What `attempt()` returns, called in a child; only the calling green thread waits.

    Args:
        seconds: the child is killed after this time; the result then says so.
    """
    began = time.monotonic()
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            pid = _fork()
            if pid == 0:
                _be_the_child(attempt, theirs.fileno(), seconds)
        ours.settimeout(seconds)
        told = _read(ours)
    if told is None and time.monotonic() - began >= seconds:
        # Only now: the process id of a child that has ended may be somebody else's soon.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _bury(pid)
    ended = time.monotonic()
    if told is None:
        late = ended - began >= seconds
        return Result(
            ok=False,
            ended=ended,
            latency_seconds=ended - began,
            error="timeout" if late else "error",
            detail="the check's child process "
            + ("was late" if late else "ended without a result"),
        )
    return Result(**{**told, "ended": ended})


def _fork() -> int:
    # Not `os.fork`, which gevent replaces by one that runs its loop in the child.
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; the one that matters to the child is made in the child.
        warnings.simplefilter("ignore", DeprecationWarning)
        return posix.fork()


def _read(ours: socket.socket) -> dict[str, Any] | None:
    found = b""
    with suppress(OSError, ValueError):
        while chunk := ours.recv(65_536):
            found += chunk
        told: dict[str, Any] = json.loads(found)
        return told
    return None


def _bury(pid: int) -> None:
    """Take the child's exit status, unless the loop's own watcher was quicker."""
    with suppress(ChildProcessError):
        wait_until(lambda: posix.waitpid(pid, os.WNOHANG)[0], 1.0, pause=0.005)


def _be_the_child(attempt: Callable[[], Result], answer: int, seconds: float) -> None:
    """Run the check in a real thread and end this process; never returns."""
    try:
        # Finalizers of the parent's objects are the parent's to run.
        gc.disable()
        with suppress(ValueError):  # a loop that does not run in the main thread
            signal.set_wakeup_fd(-1)
            for number in _TO_DEFAULT:
                signal.signal(number, signal.SIG_DFL)
        start, make_lock = _real_threads()
        done = make_lock()
        done.acquire()

        def work() -> None:
            try:
                posix.write(answer, _packed(attempt()))
            finally:
                done.release()

        start(work, ())
        done.acquire(True, seconds + 1.0)
    finally:
        os._exit(0)


def _packed(result: Result) -> bytes:
    told = {field.name: getattr(result, field.name) for field in fields(result)}
    packed = json.dumps({**told, "data": dict(result.data)}, default=str).encode()
    if len(packed) <= _MOST_BYTES:
        return packed
    return json.dumps({**told, "data": {}, "detail": None}, default=str).encode()


def _real_threads() -> tuple[Callable[..., Any], Callable[[], Any]]:
    """The true `start_new_thread` and `allocate_lock`, which green libraries replace."""
    if green_library() == "gevent":
        get = sys.modules["gevent.monkey"].get_original
        return get("_thread", "start_new_thread"), get("_thread", "allocate_lock")
    if green_library() == "eventlet":
        module = sys.modules["eventlet.patcher"].original("_thread")
        return module.start_new_thread, module.allocate_lock
    import _thread

    return _thread.start_new_thread, _thread.allocate_lock
