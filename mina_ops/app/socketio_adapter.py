"""The only file that names private attributes of python-socketio and python-engineio.

Those libraries have no public seam where handlers that run now can be counted, or a handshake be
answered with their own CORS headers. Each name below may move with any release of theirs, so the
contract test (tests/app/test_socketio_adapter.py) uses each of them, in the oldest versions that
we support, in Mina's own and in the newest ones, and says which one moved.

    name                                        seen in           what for
    socketio.Server._handle_event               5.9.0 - 5.18.1   an event arrived
    socketio.Server._handle_event_internal      5.9.0 - 5.18.1   its handler runs and ends
    socketio.Server._handle_connect             5.9.0 - 5.18.1   a client joins a namespace
    socketio.Server._trigger_event              5.9.0 - 5.18.1   an event that nobody handles
    socketio.Server._send_packet                5.9.0 - 5.18.1   a client's CONNECT is answered
    socketio.Server._send_eio_packet            5.9.0 - 5.18.1   an encoded event is sent
    socketio.Server._binary_packet              5.9.0 - 5.18.1   events that lack attachments
    socketio.PubSubManager._handle_emit         5.9.0 - 5.18.1   an event of the message queue
    socketio.PubSubManager._publish             5.9.0 - 5.18.1   a message to the message queue
    engineio.Server._async["websocket"]         4.7.0 - 4.15.1    the server's own websocket class
    engineio.Server._cors_headers               4.7.0 - 4.15.1    CORS headers of a refusal
    engineio.Server._cors_allowed_origins       4.7.0 - 4.15.1    who may use the raw ping

It imports nothing, so that it can be tried in an environment that holds these libraries alone.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

Call = Callable[..., Any]
Wrapper = Callable[[Call], Call]
"""Gets what was called until now, returns what is called from now on."""

_OF_SERVER = (
    *("_handle_event", "_handle_event_internal", "_handle_connect", "_trigger_event"),
    *("_send_packet", "_send_eio_packet", "_binary_packet"),
)
_OF_ENGINE = ("_async", "_cors_headers", "_cors_allowed_origins")


def missing_names(server: Any) -> list[str]:
    """Names of the table above that a `socketio.Server` does not have."""
    found = [f"socketio.Server.{name}" for name in _OF_SERVER if not hasattr(server, name)]
    return found + [
        f"engineio.Server.{name}" for name in _OF_ENGINE if not hasattr(server.eio, name)
    ]


def wrap_arrival(server: Any, wrapper: Wrapper) -> None:
    """Wrap what takes each event in: `(eio_sid, namespace, id, data)`.

    It returns before the handler has run where handlers have threads of their own.
    """
    server._handle_event = wrapper(server._handle_event)


def wrap_handling(server: Any, wrapper: Wrapper) -> None:
    """Wrap what runs an event's handler to its end: `(server, sid, eio_sid, ...)`."""
    server._handle_event_internal = wrapper(server._handle_event_internal)


def wrap_connect(server: Any, wrapper: Wrapper) -> None:
    """Wrap what lets a client into a namespace: `(eio_sid, namespace, data)`."""
    server._handle_connect = wrapper(server._handle_connect)


def wrap_trigger(server: Any, wrapper: Wrapper) -> None:
    """Wrap what calls the host's handler: `(event, namespace, sid, ...)`.

    It returns `server.not_handled` where there is none. (5.9 returns None if the host handles
    nothing at all in that namespace.)
    """
    server._trigger_event = wrapper(server._trigger_event)


def wrap_emit(server: Any, wrapper: Wrapper) -> None:
    """Wrap what sends an event: `(event, data, ...)`, as `SocketIO.emit` and `emit` call it."""
    server.emit = wrapper(server.emit)


def wrap_send(server: Any, wrapper: Wrapper) -> None:
    """Wrap what sends a Socket.IO packet to one client: `(eio_sid, packet)`."""
    server._send_packet = wrapper(server._send_packet)


def wrap_send_part(server: Any, wrapper: Wrapper) -> None:
    """Wrap what sends one Engine.IO packet of an encoded event: `(eio_sid, packet)`.

    An event's text comes first, then each attachment, in one thread.
    """
    server._send_eio_packet = wrapper(server._send_eio_packet)


def half_events(server: Any) -> dict[str, Any]:
    """Engine.IO session -> its binary event that has come without all of its attachments."""
    found: dict[str, Any] = server._binary_packet
    return found


def websocket_class(server: Any) -> Call:
    """The WSGI app class that upgrades a request under the async mode that runs."""
    found: Call = server.eio._async["websocket"]
    return found


def cors_headers(server: Any, environ: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The CORS headers with which the server itself would answer a request."""
    headers: Iterable[tuple[str, str]] = server.eio._cors_headers(environ)
    return headers


def allowed_origins(server: Any, environ: Mapping[str, Any]) -> Iterable[str] | None:
    """The origins that the server takes a request from; None: from all."""
    origins: Iterable[str] | None = server.eio._cors_allowed_origins(environ)
    return origins


class EmitWatcher(ABC):
    """What a `socketio.Server`'s manager asks and tells about each emit; see `watch_manager`."""

    @abstractmethod
    def sends(
        self, event: str, data: Any, namespace: str, room: Any, skip: Any, callback: Any
    ) -> bool:
        """Send an event to this process's clients; False: the manager shall send it itself."""

    @abstractmethod
    def number(self, message: dict[str, Any]) -> None:
        """Number a message before it goes to the message queue; idempotent."""

    @abstractmethod
    def heard(self, message: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Wraps the sending of a message from the queue to this process's clients."""

    @abstractmethod
    def changed(self, namespace: str, sid: str) -> None:
        """A client entered or left a room."""

    @abstractmethod
    def leaves(self, namespace: str, sid: str, *, for_good: bool) -> None:
        """A client is about to go: for good, or because its transport ended."""


def watch_manager(server: Any, watcher: EmitWatcher) -> None:
    """Let a watcher see what a server's manager emits, and who enters and leaves.

    A manager over a message queue calls `super().emit` for what it got from there, so what it calls
    has to be one of its classes: the manager object is given a class of its own.
    """
    manager = server.manager
    kind = type(manager)
    local = next(
        (one for one in kind.__mro__ if one.__name__ == "Manager"),
        next(one for one in kind.__mro__ if one.__name__ == "BaseManager"),
    )
    below = type("WatchedLocalManager", (local,), _local_methods(watcher, local))
    above = (below,) if kind is local else (kind, below)
    manager.__class__ = type(f"Watched{kind.__name__}", above, _queue_methods(watcher, kind))


def _local_methods(watcher: EmitWatcher, local: type) -> dict[str, Any]:
    def emit(
        self: Any,
        event: str,
        data: Any,
        namespace: str | None = None,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **more: Any,
    ) -> Any:
        room, name = to or room, namespace or "/"
        if watcher.sends(event, data, name, room, skip_sid, callback):
            return None
        return local.emit(  # type: ignore[attr-defined]
            self, event, data, name, room=room, skip_sid=skip_sid, callback=callback, **more
        )

    def enter_room(self: Any, sid: str, namespace: str, room: Any, eio_sid: Any = None) -> Any:
        result = local.enter_room(self, sid, namespace, room, eio_sid=eio_sid)  # type: ignore[attr-defined]
        watcher.changed(namespace, sid)
        return result

    def leave_room(self: Any, sid: str, namespace: str, room: Any) -> Any:
        result = local.leave_room(self, sid, namespace, room)  # type: ignore[attr-defined]
        watcher.changed(namespace, sid)
        return result

    def disconnect(self: Any, sid: str, namespace: str, **more: Any) -> Any:
        eio_sid = self.eio_sid_from_sid(sid, namespace)
        socket = self.server.eio.sockets.get(eio_sid)
        ends = socket is None or socket.closed or getattr(socket, "closing", False)
        watcher.leaves(namespace, sid, for_good=not ends)
        return local.disconnect(self, sid, namespace, **more)  # type: ignore[attr-defined]

    methods = (emit, enter_room, leave_room, disconnect)
    return {method.__name__: method for method in methods}


def _queue_methods(watcher: EmitWatcher, kind: type) -> dict[str, Any]:
    if not hasattr(kind, "_handle_emit"):
        return {}

    def handle(self: Any, message: dict[str, Any]) -> Any:
        if message.get("host_id") == self.host_id:
            watcher.number(message)
        with watcher.heard(message):
            return kind._handle_emit(self, message)

    def publish(self: Any, message: dict[str, Any]) -> Any:
        if message.get("method") == "emit":
            watcher.number(message)
        return kind._publish(self, message)  # type: ignore[attr-defined]

    return {"_handle_emit": handle, "_publish": publish}


def encode_event(server: Any, namespace: str, data: list[Any]) -> tuple[str | bytes, ...]:
    """What an event is over the wire: its text, or the binary that its serializer makes, and the
    attachments."""
    kind = server.packet_class
    from socketio.packet import EVENT

    encoded = kind(EVENT, namespace=namespace, data=data).encode()
    return tuple(encoded) if isinstance(encoded, list) else (encoded,)


def decode_event(server: Any, wire: tuple[str | bytes, ...]) -> list[Any]:
    """The event's name and arguments that `encode_event` was given."""
    packet = server.packet_class(encoded_packet=wire[0])
    for attachment in wire[1:]:
        packet.add_attachment(attachment)
    data: list[Any] = packet.data
    return data


def as_packets(wire: tuple[str | bytes, ...]) -> list[Any]:
    """What carries an event and may be sent to many: Engine.IO packets, and attachments as bytes.

    Not packets for the latter: a packet keeps its first encoding, which is base64 for a polling
    client and bytes for a websocket, and each kind of client would get what the other needs.
    """
    from engineio.packet import MESSAGE, Packet

    return [Packet(MESSAGE, part) if isinstance(part, str) else part for part in wire]


def send_packets(server: Any, eio_sid: str, packets: list[Any]) -> None:
    """Put what `as_packets` made into a client's queue; one that is gone gets nothing.

    Flask-SocketIO's test client has no socket, and takes what the server would send to one.
    Engine.IO looks at each packet whether the client still answers pings, and ends it at once if it
    does not. The host's disconnect handlers would run in here then, while the sender holds a lock
    that every emit of the process waits for: they run in a task of their own.
    """
    from engineio.packet import MESSAGE, Packet

    eio, socket = server.eio, server.eio.sockets.get(eio_sid)
    if socket is not None:
        if socket.closed:
            return
        if socket.last_ping and time.time() - socket.last_ping > eio.ping_timeout:
            if not socket.closing:
                server.start_background_task(_end_if_silent, socket)
            return
    for packet in packets:
        own = Packet(MESSAGE, packet) if isinstance(packet, bytes) else packet
        server._send_eio_packet(eio_sid, own)


def _end_if_silent(socket: Any) -> None:
    from engineio.exceptions import SocketIsClosedError

    with suppress(SocketIsClosedError):
        socket.check_ping_timeout()


def wrap_connect_answer(
    server: Any, answer: Callable[[str, Any], Callable[[], None] | None]
) -> None:
    """Call `answer(eio_sid, packet)` before, and what it returns after, each CONNECT packet."""
    send = server._send_packet
    from socketio.packet import CONNECT

    def sent(eio_sid: str, packet: Any) -> Any:
        if packet.packet_type != CONNECT:
            return send(eio_sid, packet)
        finish = answer(eio_sid, packet)
        result = send(eio_sid, packet)
        if finish is not None:
            finish()
        return result

    server._send_packet = sent
