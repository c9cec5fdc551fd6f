"""A line to a server on this machine that passes bytes both ways, as a test wants them passed."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from mina_ops.demo.processes import HOST


class Line:
    """Passes bytes both ways, each direction of each connection in a thread of its own.

    Attributes:
        port: where clients connect.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def pass_on(self, data: bytes, sink: socket.socket, *, connection: int, answer: bool) -> None:
        """Send some bytes where they shall go, now or later, or nowhere.

        Args:
            connection: which one they came over.
            answer: whether they are the server's.
        """
        sink.sendall(data)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._server_port))
                self._open += [client, server]
                for pair in ((client, server, False), (server, client, True)):
                    thread = threading.Thread(target=self._pass, args=(*pair, client.fileno()))
                    self._threads.append(thread)
                    thread.start()

    def _pass(
        self, source: socket.socket, sink: socket.socket, answer: bool, connection: int
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.pass_on(data, sink, connection=connection, answer=answer)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Cut all connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()
