"""SIGTERM, and the end that gunicorn's `max_requests` brings, wait for a drain of this process.

The handler that was there before, the server's or the host's, runs when the drain is over. A
handler only sets a mark, since it may interrupt anything, gevent's loop included; the heartbeat
sees the mark. A process whose heartbeat does not run has nothing to drain.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from mina_ops.app.forks import call_in_children
from mina_ops.app.sessions.worker import gunicorn_worker

Handler = Callable[[int, FrameType | None], Any] | int | None

# Ignored by default and left alone by gunicorn: it survives what a worker does to others.
_REINSTALL = signal.SIGURG


class Termination:
    """Stands before the SIGTERM handler of a process.

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
        call_in_children(self._forget)

    def install(self) -> None:
        """Put our handler before the present one; idempotent. Only the main thread can do it."""
        # Asking `threading` who is the main thread gives wrong answers in green threads.
        with suppress(ValueError):
            self._put_first()
            if self._before_reinstall is None:
                self._before_reinstall = signal.getsignal(_REINSTALL)
                signal.signal(_REINSTALL, self._on_reinstall)

    def reinstall(self) -> None:
        """Do so again, from any thread: a worker or the host may have set its own since."""
        if self._before_reinstall is not None and not self._is_asked():
            self._wants_first = True
            os.kill(os.getpid(), _REINSTALL)

    def remove(self) -> None:
        """Take our handlers out again, wherever they stand by now; idempotent.

        Example: two apps were made, so the second one's handler calls the first one's. When the
        first is closed, the second's calls the one that the first had found.
        Outside the main thread nothing can be set: our handler then passes everything on.
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

    def finish(self) -> None:
        """The drain is over: let the handler that was there before end this process."""
        self._over = True
        os.kill(os.getpid(), signal.SIGTERM)

    def _is_asked(self) -> bool:
        """Whether SIGTERM reaches us, perhaps through another app's handler of this kind."""
        owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        while isinstance(owner, Termination) and owner is not self:
            owner = getattr(owner._before[-1], "__self__", None)
        return owner is self

    def _put_first(self) -> None:
        if not self._is_asked():
            self._before.append(signal.getsignal(signal.SIGTERM))
            try:
                signal.signal(signal.SIGTERM, self._on_term)
            except ValueError:
                self._before.pop()
                raise

    def _on_reinstall(self, number: int, frame: FrameType | None) -> None:
        if self._wants_first:
            self._wants_first = False
            self._put_first()
        if callable(self._before_reinstall):
            self._before_reinstall(number, frame)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        if not self._over and not self._is_idle():
            # Again while it drains: gunicorn repeats the signal to a worker it wants gone.
            self.asked = True
            return
        # One of the host's may call us in turn; then the one before that is meant.
        before = self._before.pop() if len(self._before) > 1 else self._before[0]
        if callable(before):
            before(number, frame)
        elif before == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def _forget(self) -> None:
        self.asked = self._over = False
