"""Connects recovery to a Socket.IO server's manager: emits, the message queue, rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from mina_ops.app.recovery.sending import Sending
from mina_ops.app.socketio_adapter import EmitWatcher


class Watcher(EmitWatcher):
    """Passes each call of the manager on to the part of recovery that it concerns.

    Args:
        sending: gets events and messages of the queue.
        changed: called with (namespace, sid) when a client entered or left a room.
        leaves: called with (namespace, sid, for_good=...) when a client disconnects.
    """

    def __init__(
        self, sending: Sending, *, changed: Callable[[str, str], None], leaves: Callable[..., None]
    ) -> None:
        self._sending = sending
        self._changed = changed
        self._leaves = leaves

    def sends(
        self, event: str, data: Any, namespace: str, room: Any, skip: Any, callback: Any
    ) -> bool:
        return self._sending.sends(event, data, namespace, room, skip, callback)

    def number(self, message: dict[str, Any]) -> None:
        self._sending.number(message)

    def heard(self, message: Mapping[str, Any]) -> AbstractContextManager[None]:
        return self._sending.heard(message)

    def changed(self, namespace: str, sid: str) -> None:
        self._changed(namespace, sid)

    def leaves(self, namespace: str, sid: str, *, for_good: bool) -> None:
        self._leaves(namespace, sid, for_good=for_good)
