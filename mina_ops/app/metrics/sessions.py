"""How many sessions of the host are active, by a callable of the host, run beside requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mina_ops.app.context import Context
from mina_ops.app.forks import call_in_children

if TYPE_CHECKING:
    from sqlalchemy import Connection

INTERVAL_SECONDS = 5.0
CURRENT_SECONDS = 3 * INTERVAL_SECONDS
QUERY_SECONDS = 2.0

_log = logging.getLogger(__name__)


def counter_of(context: Context) -> Callable[[], int] | None:
    """What counts by the setting: its callable, or its query over our own connection."""
    given = context.settings.active_sessions
    if given is None or callable(given):
        return given
    # Here, as a host without such a query shall not load SQLAlchemy for us.
    from sqlalchemy import text

    query = text(given)

    def ask(connection: Connection) -> int:
        return int(connection.execute(query).scalar_one())

    return lambda: context.database.use(ask, seconds=QUERY_SECONDS)


class ActiveSessions:
    """Runs the host's callable every 5 s in a thread of its own, one run at a time.

    A run that hangs holds up nothing: the last count is given until it is 15 s old, then none.
    """

    def __init__(self, count: Callable[[], int] | None = None) -> None:
        self._count = count
        self._last: tuple[int, float] | None = None
        self._next = 0.0
        self._running = False
        self._failing = False
        call_in_children(self._forget_parent)

    def use(self, count: Callable[[], int]) -> None:
        """Ask `count()` for the number of active sessions of the whole colour."""
        self._count = count

    def beat(self, now: float) -> None:
        """Start a run if one is due and none is under way; returns at once."""
        if self._count is None or self._running or now < self._next:
            return
        self._running = True
        self._next = now + INTERVAL_SECONDS
        threading.Thread(target=self._run, name="mina_ops-sessions", daemon=True).start()

    def latest(self) -> tuple[int, float] | None:
        """The last count and its age in seconds; None if there is none younger than 15 s."""
        if self._last is None:
            return None
        count, at = self._last
        age = time.monotonic() - at
        return (count, age) if age <= CURRENT_SECONDS else None

    def _run(self) -> None:
        assert self._count is not None
        try:
            self._last = (int(self._count()), time.monotonic())
            self._failing = False
        except Exception:
            if not self._failing:
                _log.exception("The host's count of active sessions failed")
            self._failing = True
        finally:
            self._running = False

    def _forget_parent(self) -> None:
        """A fork copies no thread, so a run that was under way in the parent never ends here."""
        self._running = False
