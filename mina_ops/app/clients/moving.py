"""A Socket.IO client that moves to another server before it lets the present one go.

    client = MovingClient("https://mina.example", namespaces=["/live"])
    client.on("transcript", show, namespace="/live")
    client.connect()
    client.emit("hello", {"name": "Ada"}, namespace="/live")

Over stock `socketio.Client` objects and their public API. At `session:handoff` the next one
connects, with all namespaces and handlers; then it is used, and the old one ends with its server's
close. Where the other server does not answer in time, the stock client's own reconnection does it.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Condition
from typing import Any, Protocol

import socketio

from mina_ops.app.clients.links import Links

_log = logging.getLogger(__name__)

# The server waits up to 1 s for a hand-off's acknowledgement.
HANDOFF_WAIT_SECONDS = 0.8
# And up to 5 s for a client that says that it is connecting elsewhere.
MOVE_SECONDS = 4.0
# How long the old connection may take to end once it was let go.
LET_GO_SECONDS = 15.0
# How long a hand-off's acknowledgement is usually on its way.
ANSWER_SECONDS = 0.02
HANDOFF = "session:handoff"
MOST_REMEMBERED = 5000
# What the server adds to the events of a client that asks for recovery.
_OFFSET = re.compile(r"~mo1~([^@]+)@")

Handler = Callable[..., Any]


class Passenger(Protocol):
    """Code that sends over the connection, and must be told before and after it changes."""

    def settle(self, seconds: float) -> None:
        """Begin nothing more; return when nothing is under way, or after `seconds`."""

    def moved(self) -> None:
        """The next connection is in use; the old one may still have what was under way."""

    def let_go(self) -> None:
        """The old connection has ended."""


class MovingClient:
    """One conversation, over one `socketio.Client` after the other.

    Args:
        url: of the load balancer, or of a server.
        namespaces: all that shall be connected.
        auth: sent with each connection, as stock clients send it.
        transports: as for `socketio.Client.connect`.
        passenger: told before and after a move.
    """

    def __init__(
        self,
        url: str,
        *,
        namespaces: Sequence[str] = ("/",),
        auth: Mapping[str, Any] | None = None,
        transports: Sequence[str] | None = None,
        passenger: Passenger | None = None,
    ) -> None:
        self.moves = 0
        self.is_moving = False
        self._url, self._namespaces = url, list(namespaces)
        self._auth, self._transports = dict(auth or {}), transports
        self._passenger = passenger
        self._handlers: list[tuple[str, Handler, str]] = []
        self._recovery: dict[str, dict[str, str]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._changed = Condition()
        self._over = False
        self._links: dict[Any, Links] = {}
        self.socket = self._new()

    @property
    def connected(self) -> bool:
        """Whether the connection in use is up."""
        return bool(self.socket.connected)

    def on(self, event: str, handler: Handler, namespace: str = "/") -> None:
        """Call a handler for an event, whichever connection it comes over.

        `connect` handlers are called after a move as well: on the server the session is a new one,
        unless it was recovered.
        """
        self._handlers.append((event, handler, namespace))
        self._attach(self.socket, event, handler, namespace)

    def connect(self, *, wait_timeout: float = 5) -> None:
        """Connect; raises `socketio.exceptions.ConnectionError`, as stock clients do."""
        self._connect(self.socket, wait_timeout)

    def emit(
        self, event: str, data: Any = None, namespace: str = "/", callback: Handler | None = None
    ) -> None:
        """Send an event over the connection in use; raises as stock clients do."""
        self.socket.emit(event, data, namespace, callback=callback)

    def disconnect(self) -> None:
        """Leave for good."""
        self._over = True
        self._end(self.socket)

    def _new(self) -> Any:
        links = Links()
        socket = socketio.Client(**links.options)
        self._links[socket] = links
        for namespace in self._namespaces:
            self._watch(socket, namespace)
        for event, handler, namespace in self._handlers:
            self._attach(socket, event, handler, namespace)
        return socket

    def _connect(self, socket: Any, wait_timeout: float, **recovery: Any) -> None:
        auth = {**self._auth, **recovery} or None
        socket.connect(
            self._url,
            auth=auth,
            transports=None if self._transports is None else list(self._transports),
            namespaces=self._namespaces,
            wait_timeout=wait_timeout,
        )

    def _attach(self, socket: Any, event: str, handler: Handler, namespace: str) -> None:
        if event == HANDOFF:
            # python-socketio has one handler for an event; this one's calls them all, and moves.
            return

        def called(*arguments: Any) -> Any:
            if event == "disconnect" and socket is not self.socket:
                return None
            if event == "connect":
                if socket is self.socket:
                    return handler()
                return None
            fresh = self._take_offset(namespace, arguments)
            return None if fresh is None else handler(*fresh)

        socket.on(event, called, namespace=namespace)

    def _take_offset(self, namespace: str, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The arguments without the server's mark; None for an event that was here before."""
        last = arguments[-1] if arguments else None
        found = _OFFSET.match(last) if isinstance(last, str) else None
        if found is None:
            return arguments
        with self._changed:
            if found[1] in self._seen:
                return None
            self._seen[found[1]] = None
            if len(self._seen) > MOST_REMEMBERED:
                self._seen.popitem(last=False)
            self._recovery.setdefault(namespace, {})["offset"] = str(last)
        return arguments[:-1]

    def _watch(self, socket: Any, namespace: str) -> None:
        def handed_off(message: Any = None, *_rest: Any) -> None:
            if socket is not self.socket:
                return
            if isinstance(message, Mapping) and message.get("pid"):
                self._recovery.setdefault(namespace, {})["pid"] = str(message["pid"])
            try:
                for event, handler, of_namespace in self._handlers:
                    if (event, of_namespace) == (HANDOFF, namespace):
                        handler(message)
            finally:
                self._move(namespace)

        socket.on(HANDOFF, handed_off, namespace=namespace)

    def _move(self, namespace: str) -> None:
        """Move once for all namespaces; returning acknowledges the hand-off."""
        with self._changed:
            if self.is_moving:
                self._changed.wait_for(lambda: not self.is_moving, MOVE_SECONDS)
                return
            self.is_moving = True
        try:
            old = self.socket
            old.emit("session:moving", namespace=namespace)
            following = self._following()
            if self._passenger is not None:
                self._passenger.settle(HANDOFF_WAIT_SECONDS)
            if following is not None:
                self._swap(old, following)
        except (socketio.exceptions.SocketIOError, OSError) as exc:
            _log.debug("No move: %s", exc)
        finally:
            with self._changed:
                self.is_moving = False
                self._changed.notify_all()

    def _following(self) -> Any | None:
        """A client that is connected elsewhere; None if nobody answered in time."""
        following = self._new()
        until = time.monotonic() + MOVE_SECONDS
        while not self._over and time.monotonic() < until:
            try:
                self._connect(following, until - time.monotonic())
            except (socketio.exceptions.SocketIOError, OSError, ValueError) as exc:
                _log.debug("The other server does not take us yet: %s", exc)
                time.sleep(0.1)
            else:
                return following
        self._end(following)
        return None

    def _swap(self, old: Any, following: Any) -> None:
        # It must not come back by itself once its server has closed it.
        old.reconnection = False
        self.socket = following
        self.moves += 1
        for event, handler, _namespace in self._handlers:
            if event == "connect":
                handler()
        following.start_background_task(self._go_on)
        following.start_background_task(self._see_off, old)

    def _go_on(self) -> None:
        """Let the passenger go on over the connection in use, once the old server knows of it.

        The hand-off is acknowledged when its handler returns. Until that has arrived, the old
        server keeps the stream, and the other one refuses its chunks, longer each time.
        """
        time.sleep(ANSWER_SECONDS)
        if self._passenger is not None:
            self._passenger.moved()

    def _see_off(self, old: Any) -> None:
        """Wait until the server ends the old connection, or for 15 s; then close it here."""
        until = time.monotonic() + LET_GO_SECONDS
        while old.connected and time.monotonic() < until:
            old.sleep(0.05)
        self._end(old)
        if self._passenger is not None:
            self._passenger.let_go()

    def _end(self, socket: Any) -> None:
        # Not `disconnect()`: over polling its tasks wait for each other for half a minute.
        socket.reconnection = False
        socket.eio.disconnect(abort=True)
        links = self._links.pop(socket, None)
        if links is not None:
            links.close()
