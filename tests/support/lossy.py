"""A line to a server that loses what it is told to lose."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mina_ops.demo.processes import HOST


class LossyLine:
    """Passes bytes both ways; answers of the server that hold `losing` go nowhere.

    Attributes:
        port: where clients connect.
        losing: what is lost; None: nothing.
        lost: how many answers were.
    """

    def __init__(self, server_port: int) -> None:
        self.losing: bytes | None = None
        self.lost = 0
        self._server_port = server_port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._server_port))
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._pass, args=(source, sink, server))
                    self._threads.append(thread)
                    thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if source is server and self.losing is not None and self.losing in data:
                    self.lost += 1
                else:
                    sink.sendall(data)
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


@contextmanager
def lossy_line(server_port: int) -> Iterator[LossyLine]:
    """A line to a server on this machine, closed afterwards."""
    line = LossyLine(server_port)
    try:
        yield line
    finally:
        line.close()
