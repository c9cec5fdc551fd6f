"""Refuses websocket handshakes under gevent-websocket, which answers 101 before WSGI code runs.

A stock client whose handshake is upgraded and then dropped waits for its timeout of 20 s, so the
refusal must come instead of the 101. The package offers no hook for that, so its handler class is
patched, once for all apps of the process.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from weakref import WeakSet

from flask import Flask

_KNOWN = "_mina_ops_handshakes"


def refuse_before_upgrade(handshakes: Any) -> None:
    """Ask `Handshakes` about websocket handshakes before gevent-websocket accepts them.

    Does nothing where that package is not installed.
    """
    try:
        from geventwebsocket.handler import WebSocketHandler
    except ImportError:
        return
    known = getattr(WebSocketHandler, _KNOWN, None)
    if known is None:
        known = WeakSet()
        setattr(WebSocketHandler, _KNOWN, known)
        _patch(WebSocketHandler, known)
    known.add(handshakes)


def _patch(handler_class: Any, known: WeakSet[Any]) -> None:
    upgrade = handler_class.upgrade_websocket

    def upgrade_websocket(self: Any) -> Any:
        if self.environ.get("HTTP_UPGRADE", "").lower() != "websocket":
            return upgrade(self)
        for handshakes in list(known):
            answer = (
                handshakes.refusal_of_upgrade(self.environ) if _serves(handshakes, self) else None
            )
            if answer is not None:
                data = answer.data()
                headers = [*answer.all_headers({}), ("Content-Length", str(len(data)))]
                self.start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
                return [data]
        return upgrade(self)

    handler_class.upgrade_websocket = upgrade_websocket


def _serves(handshakes: Any, handler: Any) -> bool:
    """Whether a request may be for the app of these handshakes.

    A host may wrap its app in WSGI middleware; then nobody can tell yet, and the answer is True.
    """
    app = handler.application
    return handshakes.app is app or not isinstance(app, Flask)
