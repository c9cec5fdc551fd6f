"""A process that shall end drains itself first, whatever its colour does."""

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

# A recycled worker's successor starts only when it has ended, so it leaves quickly.
RECYCLE_GRACE_SECONDS = 5.0
# From the signal to the drain, and from its end to the server's own handler.
_TWO_BEATS = 2


class Leaving:
    """Turns SIGTERM, or gunicorn's `max_requests`, into a goal for this process.

    Args:
        siblings: of the workers that have served `max_requests`, one leaves at a time.
        is_idle: see `Termination`.
        end: called once the process is drained, just before the server's own handler.
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
        """Set once this process is on its way out."""
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
        """Take over what a worker set up after our `init_app`; once in each process."""
        if self._settings.drain_on_sigterm:
            self._termination.reinstall()
            self._termination.take_over_recycling()

    def close(self) -> None:
        """Leave SIGTERM to the handler that was there before."""
        self._termination.remove()

    def beat(self, now: float, *, drained: bool) -> None:
        """Set out when this process shall end; let it end once it is drained."""
        termination = self._termination
        if self._settings.drain_on_sigterm:
            termination.reinstall()
        if termination.was_passed_on_in_vain():
            termination.asked = True
        if self.goal is None and (termination.asked or self._shall_recycle()):
            grace = self._grace(recycled=not termination.asked)
            _log.info("This process shall end; it drains first, within %g s", grace)
            # Before anybody hears that it drains, so that its port is ready all the while.
            self._siblings.look()
            self.goal = Goal(LEAVING, time.monotonic() + grace, now + grace)
        elif self.goal is not None and drained and not self._ending:
            self._ending = True
            Thread(target=self._finish, name="mina_ops-exit", daemon=True).start()

    def _shall_recycle(self) -> bool:
        return self._termination.shall_recycle and self._siblings.may_leave()

    def _grace(self, *, recycled: bool) -> float:
        """Seconds to leave within, so that the server's own patience is not used up."""
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
