"""A connection pooler as strict as they come: it knows three start-up parameters and no others."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mina_ops.demo.processes import HOST

KNOWN = {"user", "database", "client_encoding", "application_name"}


@contextmanager
def strict_pooler(port: int) -> Iterator[int]:
    """The port of a pooler before the PostgreSQL at `port`; it refuses unknown parameters."""
    with socket.create_server((HOST, 0), backlog=16) as listener:
        threading.Thread(target=_accept, args=(listener, port), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, port: int) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, port), daemon=True).start()


def _serve(client: socket.socket, port: int) -> None:
    with client, suppress(OSError):
        packet = _startup(client)
        fields = packet[8:].rstrip(b"\0").split(b"\0")
        unknown = {name.decode() for name in fields[::2]} - KNOWN
        if unknown:
            client.sendall(_refusal(f"parameter {min(unknown)} is not allowed here"))
            return
        with socket.create_connection((HOST, port)) as server:
            server.sendall(packet)
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            _copy(client, server)


def _startup(client: socket.socket) -> bytes:
    while True:
        packet = client.recv(65_536)
        if struct.unpack("!I", packet[4:8])[0] in (80877103, 80877104):
            client.sendall(b"N")  # neither TLS nor GSS
        else:
            return packet


def _refusal(text: str) -> bytes:
    body = b"SFATAL\0C08P01\0M" + text.encode() + b"\0\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
