"""The raw ping: a websocket without Engine.IO, as `wscat -c .../socket.io/?transport=websocket`.

    > {"type": "ping"}
    < {"type":"pong","timestamp":1698123456789}

The websocket class of the running server serves it, so an answer proves the whole way from the load
balancer to the worker. Anybody may connect, so the size, rate, number and duration of raw pings are
limited.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mina_ops.app.sessions.capacity import most_sessions
from mina_ops.app.sessions.links import cut, link_of
from mina_ops.app.settings import Settings
from mina_ops.app.socketio_adapter import allowed_origins, websocket_class
from mina_ops.app.web.answers import Answer, StartResponse
from mina_ops.app.worker import connection_limit

LARGEST_MESSAGE = 1024
MESSAGES_PER_SECOND = 10.0
MOST_OPEN = 16
LONGEST_SECONDS = 300.0
IDLE_SECONDS = 5.0
"""A raw ping that sent nothing for this long is closed when the place is needed."""


@dataclass
class OpenPing:
    """An open raw ping: the socket below it, and when it last sent something (monotonic)."""

    link: Any
    seen_at: float = field(default_factory=time.monotonic)


class RawPings:
    """Answers the raw pings that come to one Socket.IO server."""

    def __init__(self, server: Any, settings: Settings) -> None:
        self._server = server
        self._settings = settings
        self._enabled = settings.raw_ping
        self._origins = settings.raw_ping_origins
        self._open: dict[int, OpenPing] = {}

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def wants(self, environ: Mapping[str, Any]) -> bool:
        """Whether a handshake is one of ours: a websocket that names no Engine.IO version."""
        if not self._enabled or environ.get("HTTP_UPGRADE", "").lower() != "websocket":
            return False
        return "EIO" not in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)

    def refusal(self, environ: Mapping[str, Any]) -> tuple[str, Answer] | None:
        """(reason, answer) if it is refused: a foreign origin, or too many are open; else None."""
        if not self._is_allowed(environ):
            return "bad_origin", Answer(403, {"error": "This origin may not use the raw ping."})
        if len(self._open) >= self._most() and not self._made_room():
            answer = Answer(503, {"error": "Too many raw pings are open."}, {"Retry-After": "5"})
            return "raw_pings", answer
        return None

    def serve(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Upgrade the request and answer pings; blocks until it is closed, 5 minutes at most."""
        link = link_of(environ)
        socket_class = websocket_class(self._server)
        mine = self._open[id(environ)] = OpenPing(link)
        over = self._server.eio.create_event()

        def end_in_time() -> None:
            if not over.wait(LONGEST_SECONDS):
                cut(link)

        def converse(websocket: Any) -> list[bytes]:
            self._server.start_background_task(end_in_time)
            self._converse(websocket, mine)
            return []

        try:
            body: Iterable[bytes] = socket_class(converse, self._server.eio)(environ, start)
            return body
        finally:
            over.set()
            self._open.pop(id(environ), None)

    def close_all(self) -> None:
        """Close all that are open; called when a drain begins."""
        for one in list(self._open.values()):
            cut(one.link)

    def _most(self) -> int:
        """How many may be open: at most a quarter of the worker's places, since each takes one."""
        chosen, limit = (
            self._settings.max_connections,
            connection_limit(self._server.eio.async_mode),
        )
        places = most_sessions(chosen, limit, self._settings.connection_reserve)
        return int(max(1, min(MOST_OPEN, places // 4)))

    def _made_room(self) -> bool:
        """Close the one that is idle longest; False if none is idle long enough.

        Otherwise sixteen idle ones would keep everybody out.
        """
        key, idle = min(self._open.items(), key=lambda item: item[1].seen_at)
        if time.monotonic() - idle.seen_at < IDLE_SECONDS:
            return False
        self._open.pop(key, None)
        cut(idle.link)
        return True

    def _converse(self, websocket: Any, mine: OpenPing) -> None:
        # simple-websocket refuses a larger frame before it is in memory.
        inner = getattr(websocket, "ws", None)
        if inner is not None and hasattr(inner, "max_message_size"):
            inner.max_message_size = LARGEST_MESSAGE
        credit, seen_at = MESSAGES_PER_SECOND, time.monotonic()
        while True:
            message = websocket.wait()
            if message is None or len(message) > LARGEST_MESSAGE:
                break
            now = mine.seen_at = time.monotonic()
            earned = credit + (now - seen_at) * MESSAGES_PER_SECOND
            credit, seen_at = min(MESSAGES_PER_SECOND, earned) - 1, now
            if credit < 0:
                break
            websocket.send(answer_to(message, time.time()))
        websocket.close()

    def _is_allowed(self, environ: Mapping[str, Any]) -> bool:
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or origin in self._origins:
            return True
        if self._server.eio.cors_allowed_origins == []:
            return bool(urlsplit(origin).netloc == environ.get("HTTP_HOST"))
        allowed = allowed_origins(self._server, environ)
        return allowed is None or origin in allowed


def answer_to(message: str | bytes, now: float) -> str:
    """The answer to one raw message: a pong, or an error that says what would be right."""
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError):
        asked = None
    if isinstance(asked, dict) and asked.get("type") == "ping":
        return json.dumps({"type": "pong", "timestamp": round(now * 1000)}, separators=(",", ":"))
    return json.dumps({"type": "error", "error": 'Send {"type": "ping"}.'}, separators=(",", ":"))
