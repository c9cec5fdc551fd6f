"""Puts all packets of a binary event into a client's queue in one step.

Such an event is a text, which says how many attachments follow, and a packet for each of them. The
server puts them into the client's queue one by one. Under threads another event can get in between,
for example our `session:handoff` while a thread of the host emits a picture. A stock client cannot
read that: it drops the connection, and both events are lost.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from mina_ops.app.socketio_adapter import Call, wrap_send, wrap_send_part

_BINARY_TEXTS = ("5", "6")
"""What the text of a binary event, and of a binary acknowledgement, begins with."""


@dataclass
class _Begun:
    """The event of which one thread has sent the first packets to a client."""

    eio_sid: str
    missing: int
    parts: list[Any] = field(default_factory=list)


def send_events_whole(server: Any) -> None:
    """Do so for all that a `socketio.Server` sends from now on.

    Only threads need it: green ones do not change places between two packets. Who has no socket is
    left alone, such as Flask-SocketIO's test client, which takes what the server would send.
    """
    if server.eio.async_mode == "threading":
        wrap_send(server, lambda send: _whole_packets(server.eio, send))
        wrap_send_part(server, lambda send: _whole_parts(server.eio, send))


def _whole_packets(eio: Any, send: Call) -> Call:
    from engineio.packet import MESSAGE, Packet
    from socketio.packet import BINARY_ACK, BINARY_EVENT

    def sent(eio_sid: str, packet: Any) -> Any:
        if packet.packet_type not in (BINARY_EVENT, BINARY_ACK) or eio_sid not in eio.sockets:
            return send(eio_sid, packet)
        encoded = packet.encode()
        if not isinstance(encoded, list):
            return send(eio_sid, packet)
        return _put_together(eio, eio_sid, [Packet(MESSAGE, part) for part in encoded])

    return sent


def _whole_parts(eio: Any, send: Call) -> Call:
    of_thread = threading.local()

    def sent(eio_sid: str, packet: Any) -> Any:
        if eio_sid not in eio.sockets:
            return send(eio_sid, packet)
        begun: _Begun | None = getattr(of_thread, "begun", None)
        if begun is None or begun.eio_sid != eio_sid or not isinstance(packet.data, bytes):
            count = attachments(packet.data)
            of_thread.begun = _Begun(eio_sid, count, [packet]) if count else None
            return None if count else send(eio_sid, packet)
        begun.parts.append(packet)
        begun.missing -= 1
        if not begun.missing:
            of_thread.begun = None
            _put_together(eio, eio_sid, begun.parts)
        return None

    return sent


def attachments(text: object) -> int:
    """How many packets follow this one; 0 unless it is a text such as `52-["photo",...`: two."""
    if not isinstance(text, str) or text[:1] not in _BINARY_TEXTS:
        return 0
    number, dash, _ = text[1:12].partition("-")
    return int(number) if dash and number.isdecimal() else 0


def _put_together(eio: Any, eio_sid: str, packets: list[Any]) -> None:
    """Put packets into a client's queue; one that is gone gets none of them."""
    socket = eio.sockets.get(eio_sid)
    # Asked as for a single packet: it closes a client that has answered no ping for too long.
    if socket is None or socket.closed or not socket.check_ping_timeout():
        return
    queue = socket.queue
    with queue.mutex:
        queue.queue.extend(packets)
        queue.unfinished_tasks += len(packets)
        queue.not_empty.notify()
