"""A Socket.IO client that moves to another server before it lets the present one go.

    client = MovingClient("https://mina.example", namespaces=["/live"])
    client.on("transcript", show, namespace="/live")
    client.connect()
    client.emit("hello", {"name": "Ada"}, namespace="/live")

Over stock `socketio.Client` objects and their public API. At `session:handoff` the next one
connects, with all namespaces and handlers; then it is used, and the old one ends with its server's
close. Where the other server does not answer in time, the stock client's own reconnection does it;
what is emitted from the hand-off's acknowledgement on waits until then (see `held`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Condition
from typing import Any

import socketio

from mina_ops.app.clients.handoff import (
    HANDOFF,
    LET_GO_SECONDS,
    MOVE_SECONDS,
    MOVING,
    RETRY_SECONDS,
    Passenger,
)
from mina_ops.app.clients.held import Emitted
from mina_ops.app.clients.links import Links
from mina_ops.app.clients.outgoing import Outgoing
from mina_ops.app.clients.received import Received, auth_with
from mina_ops.app.engineio_payload import read_long_payloads

_log = logging.getLogger(__name__)

# The server waits up to 1 s for a hand-off's acknowledgement.
HANDOFF_WAIT_SECONDS = 0.8
# How long a hand-off's acknowledgement is usually on its way.
ANSWER_SECONDS = 0.02

Handler = Callable[..., Any]


class MovingClient:
    """One conversation, over one `socketio.Client` after the other. Thread safe.

    Args:
        url: of the load balancer, or of a server.
        namespaces: all that shall be connected.
        auth: sent with each connection, as stock clients send it. With `{"recovery": True}` rooms,
            session and missed events come back in namespaces that the server can recover.
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
        read_long_payloads()
        self.moves = 0
        self.is_moving = False
        self._url, self._namespaces = url, list(namespaces)
        self._auth, self._transports = auth, transports
        self._passenger = passenger
        self._handlers: list[tuple[str, Handler, str]] = []
        self._received = Received()
        self._changed = Condition()
        self._over = False
        self._links: dict[Any, Links] = {}
        self._outgoing = Outgoing(self._new())

    @property
    def socket(self) -> Any:
        """The stock client in use; another one after a move."""
        return self._outgoing.socket

    @property
    def connected(self) -> bool:
        """Whether the connection in use is up."""
        return bool(self.socket.connected)

    @property
    def held(self) -> int:
        """Events that wait for the next connection."""
        return self._outgoing.held

    def on(self, event: str, handler: Handler, namespace: str = "/") -> None:
        """Call a handler for an event, whichever connection it comes over.

        `connect` handlers are called after a move as well: on the server the session is a new one,
        unless it was recovered. What they emit goes before what was held.
        """
        self._handlers.append((event, handler, namespace))
        self._attach(self.socket, event, handler, namespace)

    def connect(self, *, wait_timeout: float = 5) -> None:
        """Connect; raises `socketio.exceptions.ConnectionError`, as stock clients do."""
        self._connect(self.socket, wait_timeout)

    def emit(
        self, event: str, data: Any = None, namespace: str = "/", callback: Handler | None = None
    ) -> None:
        """Send an event over the connection in use, or, between two of them, over the next one.

        What waits for the next one is sent in the order in which it was emitted.

        Raises:
            socketio.exceptions.BadNamespaceError: not connected, and no hand-over is the reason.
            BacklogFull: too many events wait already; this one was not sent.
        """
        self._outgoing.send(Emitted(event, data, namespace, callback), may_wait=self.is_moving)

    def call(self, event: str, data: Any = None, namespace: str = "/", timeout: float = 60) -> Any:
        """Send an event as `emit` does, and wait for its acknowledgement; blocks up to `timeout`.

        An event that waits for the next connection is sent there, if it comes within `timeout`. One
        that was sent is never sent again: its server may have handled it.

        Returns:
            What the server answered, as the stock client's `call` gives it.

        Raises:
            socketio.exceptions.TimeoutError: no answer came in `timeout` seconds; an event that was
                still held then is not sent any more.
            socketio.exceptions.BadNamespaceError, BacklogFull: as in `emit`.
        """
        emitted = Emitted(event, data, namespace)
        return self._outgoing.call(emitted, timeout, may_wait=self.is_moving)

    def emit_now(
        self, event: str, data: Any = None, namespace: str = "/", callback: Handler | None = None
    ) -> None:
        """Send an event over the connection in use or raise as stock clients do; for passengers."""
        self._outgoing.emit(Emitted(event, data, namespace, callback))

    def disconnect(self) -> None:
        """Leave for good; what is held is not sent, and a warning in the log says how much."""
        self._over = True
        if self.held:
            _log.warning("%d events that waited for a connection are not sent.", self.held)
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

    def _connect(self, socket: Any, wait_timeout: float) -> None:
        socket.connect(
            self._url,
            # Asked for anew at each reconnection.
            auth=lambda: auth_with(self._auth, self._received.marks()),
            transports=None if self._transports is None else list(self._transports),
            namespaces=self._namespaces,
            wait_timeout=wait_timeout,
        )

    def _attach(self, socket: Any, event: str, handler: Handler, namespace: str) -> None:
        if event in (HANDOFF, "connect"):
            # python-socketio has one handler for an event; `_watch` has one that calls them all.
            return

        def called(*arguments: Any) -> Any:
            if event == "disconnect" and socket is not self.socket:
                return None
            fresh = self._received.take(namespace, arguments)
            return None if fresh is None else handler(*fresh)

        socket.on(event, called, namespace=namespace)

    def _watch(self, socket: Any, namespace: str) -> None:
        def handed_off(message: Any = None, *_rest: Any) -> None:
            if socket is not self.socket:
                return
            self._received.handed_off(namespace, message)
            try:
                for handler in self._of(HANDOFF, namespace):
                    handler(message)
            finally:
                self._move(namespace)

        def connected() -> None:
            if socket is self.socket:
                self._opened(namespace)

        socket.on(HANDOFF, handed_off, namespace=namespace)
        socket.on("connect", connected, namespace=namespace)

    def _of(self, event: str, namespace: str) -> list[Handler]:
        return [h for name, h, where in self._handlers if (name, where) == (event, namespace)]

    def _opened(self, namespace: str) -> None:
        """The connection in use has this namespace: greet the server, then send what is held."""
        with self._outgoing.greeting(namespace):
            for handler in self._of("connect", namespace):
                try:
                    handler()
                except Exception:
                    # The others are called, and what is held is sent, all the same.
                    _log.exception("A connect handler of %s failed.", namespace)

    def _move(self, namespace: str) -> None:
        """Move once for all namespaces; returning acknowledges the hand-off."""
        with self._changed:
            if self.is_moving:
                self._changed.wait_for(lambda: not self.is_moving, MOVE_SECONDS)
                return
            self.is_moving = True
        old, sid = self.socket, self.socket.sid
        following = None
        try:
            old.emit(MOVING, namespace=namespace)
            following = self._following()
            if self._passenger is not None:
                self._passenger.settle(HANDOFF_WAIT_SECONDS)
        except Exception as exc:
            # What is emitted must be held all the same.
            _log.debug("No move: %r", exc)
        try:
            # The server is about to be told that nothing more comes over the old connection.
            self._outgoing.hold(self._namespaces)
            if following is not None:
                self._swap(old, following)
            elif old.sid not in (None, sid):
                # It broke and came back while another one was tried: that `connect` is over.
                for each in self._namespaces:
                    self._outgoing.release(each)
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
            except Exception as exc:
                # Whatever it is, the next try may succeed.
                _log.debug("The other server does not take us yet: %r", exc)
                time.sleep(RETRY_SECONDS)
            else:
                return following
        self._end(following)
        return None

    def _swap(self, old: Any, following: Any) -> None:
        # It must not come back by itself once its server has closed it.
        old.reconnection = False
        self._outgoing.use(following)
        self.moves += 1
        following.start_background_task(self._go_on)
        following.start_background_task(self._see_off, old)
        for namespace in self._namespaces:
            self._opened(namespace)
        if self._over:
            # Somebody left meanwhile, and knew the old connection only.
            self._end(following)

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
        links = self._links.pop(socket, None)
        if links is not None:
            links.end(socket)
