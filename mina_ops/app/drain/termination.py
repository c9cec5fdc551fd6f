"""Delays the end of a process, by SIGTERM or gunicorn's `max_requests`, until it is drained.

Our signal handler only notes that the signal came, since it may interrupt anything, gevent's loop
included; the heartbeat sees the note and drains. Then the handler that was there before runs, the
server's or the host's. A process whose heartbeat does not run has nothing to drain.

Whatever the host's handler does (only log, raise, exit), the process ends: if it went on, drained,
it would refuse every new session for ever.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from mina_ops.app.forks import call_in_children
from mina_ops.app.worker import gunicorn_worker

Handler = Callable[[int, FrameType | None], Any] | int | None

_log = logging.getLogger(__name__)

_AFTER_HANDLERS_SECONDS = 5.0
"""After the last handler returned, the process has this long to end, or to begin to."""
_HANDLERS_SECONDS = 60.0
"""How long the host's handler may take, to save what it has."""

# The signal by which any thread gets the main thread to set handlers. Its default is to do nothing,
# and gunicorn's workers, which reset several signals, leave it alone.
_REINSTALL = signal.SIGURG


class Termination:
    """The SIGTERM handler that runs before the one that a process already has.

    Args:
        is_idle: whether there is nothing to drain; called from the signal handler, so it takes
            no lock and does not wait.
    """

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        self.asked = False
        """Whether this process shall drain and then end."""
        self._is_idle = is_idle
        self._before: list[Handler] = []
        self._before_reinstall: Handler = None
        self._wants_first = False
        self._over = False
        self._request_limit: int | None = None
        self._passed_on_at: float | None = None
        self._in_handlers = 0
        self._last_resort = False
        call_in_children(self._forget)

    def install(self) -> None:
        """Put our handler before the present one; idempotent; works in the main thread only."""
        # `signal.signal` raises ValueError elsewhere. `threading.main_thread()` is no help: it is
        # wrong in green threads.
        with suppress(ValueError):
            self._put_first()
            if self._before_reinstall is None:
                self._before_reinstall = signal.getsignal(_REINSTALL)
                signal.signal(_REINSTALL, self._on_reinstall)

    def reinstall(self) -> None:
        """Install again, from any thread, if a worker or the host has set another handler since."""
        if self._before_reinstall is not None and not self._is_asked():
            self._wants_first = True
            os.kill(os.getpid(), _REINSTALL)

    def remove(self) -> None:
        """Take our handlers out of the chain, wherever they are in it; idempotent.

        Example: two apps were made, so the second one's handler calls the first one's. When the
        first is closed, the second's calls the one that the first had found.
        Outside the main thread no handler can be set; ours then stays and passes each signal on.
        """
        self._is_idle = lambda: True
        if not self._before:
            return
        present = signal.getsignal(signal.SIGTERM)
        owner = getattr(present, "__self__", None)
        with suppress(ValueError):
            if owner is self:
                signal.signal(signal.SIGTERM, self._before[0])
            while isinstance(owner, Termination) and owner._before:
                below = getattr(owner._before[-1], "__self__", None)
                if below is self:
                    owner._before[-1] = self._before[0]
                owner = below
            if getattr(signal.getsignal(_REINSTALL), "__self__", None) is self:
                signal.signal(_REINSTALL, self._before_reinstall)

    def take_over_recycling(self) -> None:
        """Keep gunicorn's worker from ending itself after `max_requests`, undrained."""
        worker = gunicorn_worker()
        limit = getattr(worker, "max_requests", sys.maxsize)
        if worker is not None and limit != sys.maxsize:
            self._request_limit = limit
            worker.max_requests = sys.maxsize

    @property
    def shall_recycle(self) -> bool:
        """Whether the worker has served as many requests as it shall."""
        if self._request_limit is None:
            return False
        worker = gunicorn_worker()
        return worker is not None and worker.nr >= self._request_limit

    def was_passed_on_in_vain(self) -> bool:
        """Whether a signal was passed on at once, and the host's handler did not end the process.

        True at the earliest 5 s after the signal.
        """
        at = self._passed_on_at
        if at is None or self._in_handlers or _is_ending():
            return False
        return time.monotonic() - at >= _AFTER_HANDLERS_SECONDS

    def finish(self) -> None:
        """End this process, now that it is drained; blocks until it is about to end (about 65 s).

        After SIGTERM, the handler that was there before runs first. A worker that has served
        `max_requests` got no signal, and is told to stop as gunicorn would.
        """
        self._over = True
        if self.asked and self._passed_on_at is None:
            os.kill(os.getpid(), signal.SIGTERM)
            if _ends_within(_HANDLERS_SECONDS, unless=lambda: not self._in_handlers):
                return
            if _ends_within(_AFTER_HANDLERS_SECONDS):
                return
            _log.warning("The SIGTERM handler of the host ends nothing; mina_ops ends the process")
        worker = gunicorn_worker()
        if worker is not None:
            worker.alive = False
            return
        self._last_resort = True
        os.kill(os.getpid(), _REINSTALL)

    def _is_asked(self) -> bool:
        """Whether SIGTERM reaches our handler, perhaps through that of another app of ours."""
        owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        while isinstance(owner, Termination) and owner is not self:
            owner = getattr(owner._before[-1], "__self__", None)
        return owner is self

    def _put_first(self) -> None:
        if not self._is_asked():
            before = signal.getsignal(signal.SIGTERM)
            if before in self._before:
                self._before.remove(before)
            self._before.append(before)
            try:
                signal.signal(signal.SIGTERM, self._on_term)
            except ValueError:
                self._before.pop()
                raise

    def _on_reinstall(self, number: int, frame: FrameType | None) -> None:
        if self._last_resort:
            # With the default handler, SIGTERM ends the process.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        if self._wants_first:
            self._wants_first = False
            self._put_first()
        if callable(self._before_reinstall):
            self._before_reinstall(number, frame)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        if not self._over and not self._is_idle():
            # Also when it comes again during the drain: gunicorn repeats it to a worker that stays.
            self.asked = True
            return
        if not self._over:
            self._passed_on_at = time.monotonic()
        # The handler before ours may call ours in turn; then the one before it must run. Example:
        # the host's handler replaced ours, called it at its end, and was replaced by us again.
        before = self._before.pop() if len(self._before) > 1 else self._before[0]
        if callable(before):
            self._in_handlers += 1
            try:
                before(number, frame)
            finally:
                self._in_handlers -= 1
        elif before == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def _forget(self) -> None:
        self.asked = self._over = False
        self._passed_on_at = None


def _is_ending() -> bool:
    """Whether gunicorn's worker is on its way out; under other servers nobody can tell."""
    worker = gunicorn_worker()
    return worker is not None and not worker.alive


def _ends_within(seconds: float, *, unless: Callable[[], bool] = lambda: False) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if _is_ending():
            return True
        time.sleep(0.05)  # the handlers run meanwhile
        if unless():
            return False
    return False
