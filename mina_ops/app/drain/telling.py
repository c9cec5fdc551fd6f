"""Sends events of the drain to the sessions of this process, never over the message queue."""

from __future__ import annotations

import logging
import time
from typing import Any

from mina_ops.app.drain.yielding import Yielder
from mina_ops.app.sessions.session import Session
from mina_ops.app.sessions.sessions import Sessions

_log = logging.getLogger(__name__)

# A polling client sends its next poll as soon as it got an event; thousands of polls at once would
# block the loop. A session that is asked to leave before its turn is told then.
TOLD_A_SECOND = 1000.0
SHORTEST_PAUSE_SECONDS = 0.01


class Telling:
    """Sends `server:draining` to all sessions over a while, and any event to one session."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._server = sessions.server
        self._notice: dict[str, Any] = {}
        self._untold: dict[str, Session] = {}

    def announce(self, payload: dict[str, Any]) -> None:
        """Send `server:draining` to each session, at most 1,000 a second, in a task of its own."""
        self._notice = payload
        self._untold = {session.sid: session for session in self._sessions.live()}

        def tell_all() -> None:
            yielder, began = Yielder(self._server), time.monotonic()
            for number, session in enumerate(list(self._untold.values())):
                early = number / TOLD_A_SECOND - (time.monotonic() - began)
                if early > SHORTEST_PAUSE_SECONDS:
                    self._server.sleep(early)
                self.tell(session)
                yielder.yield_if_due()

        self._server.start_background_task(tell_all)

    def stop(self) -> None:
        """Send `server:draining` to nobody else; idempotent."""
        self._untold = {}

    def tell(self, session: Session) -> None:
        """Send `server:draining` to one session now, unless it had it before."""
        if self._untold.pop(session.sid, None) is not None:
            for namespace, own in self._sessions.addresses(session.sid):
                self.emit("server:draining", self._notice, own, namespace)

    def emit(
        self, event: str, payload: dict[str, Any], own: str, namespace: str, callback: Any = None
    ) -> None:
        """Send an event to one client of this process; never raises."""
        try:
            self._server.emit(
                event, payload, to=own, namespace=namespace, callback=callback, ignore_queue=True
            )
        except Exception:
            # The session ended meanwhile; the closer sees that on its next tick.
            _log.debug("%s did not reach %s", event, own, exc_info=True)
