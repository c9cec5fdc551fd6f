"""Sends events of the drain to the sessions of this process, never over the message queue."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from mina_ops.app.drain.yielding import Yielder
from mina_ops.app.sessions.session import Session
from mina_ops.app.sessions.sessions import Sessions

_log = logging.getLogger(__name__)

# A polling client sends its next poll as soon as it got an event; thousands of polls at once would
# block the loop. A session that is asked to leave before its turn is told then.
TOLD_A_SECOND = 1000.0
SHORTEST_PAUSE_SECONDS = 0.01


@dataclass
class Telling:
    """Sends `server:draining` to all sessions over a while, and any event to one session."""

    sessions: Sessions
    notice: dict[str, Any] = field(default_factory=dict)
    """The payload of `server:draining`."""
    untold: dict[str, Session] = field(default_factory=dict)
    """Sid -> session, for those that did not get it yet."""

    def announce(self, payload: dict[str, Any]) -> None:
        """Send `server:draining` to each session, at most 1,000 a second, in a task of its own."""
        self.notice = payload
        self.untold = {session.sid: session for session in self.sessions.live()}

        def tell_all() -> None:
            yielder, began = Yielder(self.sessions.server), time.monotonic()
            for number, session in enumerate(list(self.untold.values())):
                early = number / TOLD_A_SECOND - (time.monotonic() - began)
                if early > SHORTEST_PAUSE_SECONDS:
                    self.sessions.server.sleep(early)
                self.tell(session)
                yielder.yield_if_due()

        self.sessions.server.start_background_task(tell_all)

    def stop(self) -> None:
        """Send `server:draining` to nobody else; idempotent."""
        self.untold = {}

    def tell(self, session: Session) -> None:
        """Send `server:draining` to one session now, unless it had it before."""
        if self.untold.pop(session.sid, None) is not None:
            for namespace, own in self.sessions.addresses(session.sid):
                self.emit("server:draining", self.notice, own, namespace)

    def emit(
        self, event: str, payload: dict[str, Any], own: str, namespace: str, callback: Any = None
    ) -> None:
        """Send an event to one client of this process; never raises."""
        try:
            self.sessions.server.emit(
                event, payload, to=own, namespace=namespace, callback=callback, ignore_queue=True
            )
        except Exception:
            # The session ended meanwhile; the closer sees that on its next tick.
            _log.debug("%s did not reach %s", event, own, exc_info=True)
