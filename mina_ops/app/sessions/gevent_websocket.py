"""gevent-websocket answers 101 before any WSGI code runs; a refused handshake needs its 503 first.

Its handler class is patched once for all apps of the process, as there is no seam for one of them:
a stock client whose handshake is upgraded and then dropped hangs until its timeout of 20 s.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from weakref import WeakSet

from flask import Flask

_DOORS = "_mina_ops_doors"


def refuse_before_upgrade(door: Any) -> None:
    """Ask a `Door` about websocket handshakes before gevent-websocket accepts them.

    Does nothing where that package is not installed.
    """
    try:
        from geventwebsocket.handler import WebSocketHandler
    except ImportError:
        return
    doors = getattr(WebSocketHandler, _DOORS, None)
    if doors is None:
        doors = WeakSet()
        setattr(WebSocketHandler, _DOORS, doors)
        _patch(WebSocketHandler, doors)
    doors.add(door)


def _patch(handler_class: Any, doors: WeakSet[Any]) -> None:
    upgrade = handler_class.upgrade_websocket

    def upgrade_websocket(self: Any) -> Any:
        if self.environ.get("HTTP_UPGRADE", "").lower() != "websocket":
            return upgrade(self)
        for door in list(doors):
            answer = door.refusal_of_upgrade(self.environ) if _serves(door, self) else None
            if answer is not None:
                data = answer.data()
                headers = [*answer.all_headers({}), ("Content-Length", str(len(data)))]
                self.start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
                return [data]
        return upgrade(self)

    handler_class.upgrade_websocket = upgrade_websocket


def _serves(door: Any, handler: Any) -> bool:
    """Whether a request comes to this door's app, as far as that can be seen before WSGI."""
    app = handler.application
    return door.app is app or not isinstance(app, Flask)
