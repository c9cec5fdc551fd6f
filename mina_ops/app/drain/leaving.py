"""Lets a process that is about to end drain itself first, also while its colour serves."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from threading import Thread

from mina_ops.app.drain.coordinator import Goal
from mina_ops.app.drain.termination import Termination
from mina_ops.app.settings import Settings
from mina_ops.app.siblings import Siblings
from mina_ops.app.state.drain_state import LEAVING
from mina_ops.app.worker import gunicorn_worker

_log = logging.getLogger(__name__)

# gunicorn starts the successor of a recycled worker only when that has ended, so it hurries.
RECYCLE_GRACE_SECONDS = 5.0
# One beat may pass from the signal to the drain, another from the drain to the server's handler.
_TWO_BEATS = 2


class Leaving:
    """Turns SIGTERM, or gunicorn's `max_requests`, into a goal for this process.

    Args:
        siblings: let one worker at a time leave, of those that have served `max_requests`.
        is_idle: see `Termination`.
        end: called once, when the process is drained, just before the server's own handler.
    """

    def __init__(
        self,
        settings: Settings,
        siblings: Siblings,
        *,
        is_idle: Callable[[], bool],
        end: Callable[[], None],
    ) -> None:
        self.goal: Goal | None = None
        """Set when this process begins to leave; None before."""
        self._settings = settings
        self._siblings = siblings
        self._end = end
        self._ending = False
        self._termination = Termination(is_idle)
        if settings.drain_on_sigterm:
            self._termination.install()

    @property
    def is_replaced(self) -> bool:
        """Whether this process leaves after `max_requests`, so that another takes its place."""
        return self.goal is not None and not self._termination.asked

    def at_start(self) -> None:
        """Put our handler before those that the worker set after `init_app`; once per process."""
        if self._settings.drain_on_sigterm:
            self._termination.reinstall()
            self._termination.take_over_recycling()

    def close(self) -> None:
        """Give SIGTERM back to the handler that was there before."""
        self._termination.remove()

    def beat(self, now: float, *, drained: bool) -> None:
        """Begin to leave when the process was asked to end; end it once it is drained."""
        termination = self._termination
        if self._settings.drain_on_sigterm:
            termination.reinstall()
        if termination.was_passed_on_in_vain():
            termination.asked = True
        if self.goal is None and (termination.asked or self._shall_recycle()):
            grace = self._grace(recycled=not termination.asked)
            _log.info("This process shall end; it drains first, within %g s", grace)
            # Before others hear that it drains: its siblings keep the port ready meanwhile.
            self._siblings.look()
            self.goal = Goal(LEAVING, time.monotonic() + grace, now + grace)
        elif self.goal is not None and drained and not self._ending:
            self._ending = True
            Thread(target=self._finish, name="mina_ops-exit", daemon=True).start()

    def _shall_recycle(self) -> bool:
        return self._termination.shall_recycle and self._siblings.may_leave()

    def _grace(self, *, recycled: bool) -> float:
        """Seconds in which to drain, so that the server does not kill the process before."""
        settings = self._settings
        longest = RECYCLE_GRACE_SECONDS if recycled else math.inf
        worker = gunicorn_worker()
        if worker is not None and not recycled:
            margin = settings.drain_ack_seconds + 2 * settings.drain_cut_seconds
            margin += _TWO_BEATS * settings.beat_seconds
            longest = max(0.0, float(worker.cfg.graceful_timeout) - margin)
        return min(settings.sigterm_grace_seconds, longest)

    def _finish(self) -> None:
        self._end()
        self._termination.finish()
