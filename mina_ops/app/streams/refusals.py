"""Prevents that a chunk which was not handled is acknowledged, whatever the host's handlers do.

A refusal is raised inside the host's event handler. A host with `@socketio.on_error_default` turns
every exception into a result, and Socket.IO acknowledges the event with it: the client would think
that its chunk is safe. So each refusal is noted here, and the note decides about the
acknowledgement.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

from mina_ops.app.socketio_adapter import Call, missing_names, wrap_trigger
from mina_ops.app.streams.errors import StreamRefused

_log = logging.getLogger(__name__)


class Refusals:
    """Notes the refusals within the event that the present thread or green thread handles."""

    def __init__(self) -> None:
        self._of_this_event: ContextVar[list[StreamRefused | None] | None] = ContextVar(
            "mina_ops_refusals", default=None
        )

    def note(self, refusal: StreamRefused | None) -> None:
        """Note a refusal, or (None) that the host's own code failed to handle a chunk."""
        noted = self._of_this_event.get()
        if noted is not None:
            noted.append(refusal)

    def wrap(self, server: Any) -> None:
        """Let the notes decide what a `socketio.Server` acknowledges."""
        if missing_names(server):
            return
        wrap_trigger(server, lambda trigger: self._judge(server, trigger))

    def _judge(self, server: Any, trigger: Call) -> Call:
        def triggered(event: str, namespace: str, *arguments: Any) -> Any:
            noted: list[StreamRefused | None] = []
            token = self._of_this_event.set(noted)
            try:
                result = trigger(event, namespace, *arguments)
            except StreamRefused as exc:
                _log.debug("%s is not acknowledged: %s", event, exc)
                result = None
            finally:
                self._of_this_event.reset(token)
            if not noted:
                return result
            refusal = noted[-1]
            if refusal is None:
                # The host may answer a failure with a result of its own. Without one the event is
                # not acknowledged, so that the client sends the chunk again.
                return server.not_handled if result is None else result
            return server.not_handled if refusal.answer is None else refusal.answer

        return triggered
