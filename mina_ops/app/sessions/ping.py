"""Answers the Socket.IO event `ping` with an event `pong`, unless the host has a handler for it."""

from __future__ import annotations

import time
from typing import Any

from mina_ops.app.socketio_adapter import Call, wrap_trigger


def answer_pings(server: Any) -> None:
    """Emit `pong` for each `ping` that no handler of the host takes.

    The payload is `{"type": "pong", "timestamp": <milliseconds since the epoch>}`.
    """

    def with_pong(trigger: Call) -> Call:
        def triggered(event: str, namespace: str, *arguments: Any) -> Any:
            result = trigger(event, namespace, *arguments)
            if event != "ping" or result is not server.not_handled:
                return result
            pong = {"type": "pong", "timestamp": round(time.time() * 1000)}
            server.emit("pong", pong, to=arguments[0], namespace=namespace, ignore_queue=True)
            return pong

        return triggered

    wrap_trigger(server, with_pong)
