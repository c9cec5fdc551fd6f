"""A small server on loopback for the page and its data; it takes no writes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.console.document import document
from mina_ops.page import assets

_HOST = "127.0.0.1"
_FRESH_SECONDS = 0.9


class ConsoleServer:
    """The server; `port` is where it listens."""

    def __init__(self, settings: OperatorSettings, port: int) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._made: tuple[float, bytes] = (-_FRESH_SECONDS, b"")
        self._http = ThreadingHTTPServer((_HOST, port), self._handler())
        self._http.daemon_threads = True
        self.port = int(self._http.server_port)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Block until Ctrl-C or `close`."""
        self._thread.join()

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def data(self) -> bytes:
        """The page's data, made once a second however many look."""
        with self._lock:
            made_at, raw = self._made
            if time.monotonic() - made_at >= _FRESH_SECONDS:
                raw = json.dumps(document(self._settings)).encode()
                self._made = (time.monotonic(), raw)
        return raw

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                # Another page's script may know the port; a name that is not ours is refused.
                if self.headers.get("Host", "").partition(":")[0] not in (_HOST, "localhost"):
                    self.send_error(403)
                    return
                path = self.path.partition("?")[0].lstrip("/")
                if path == "data":
                    headers = {**assets.SECURITY_HEADERS, "Content-Type": "application/json"}
                    self._send({**headers, "Cache-Control": "no-store"}, server.data())
                    return
                asset = assets.find(path)
                if asset is None:
                    self.send_error(404)
                else:
                    self._send(asset.headers, asset.body)

            def _send(self, headers: dict[str, str], body: bytes) -> None:
                self.send_response(200)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: the terminal is the operator's."""

        return Handler


@contextmanager
def running(settings: OperatorSettings, port: int) -> Iterator[ConsoleServer]:
    """The server, until the end of the block.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        server = ConsoleServer(settings, port)
    except OSError as exc:
        raise ConfigurationError(
            f"Port {port} cannot be used: {exc.strerror}. Give another --port; 0 takes any."
        ) from exc
    try:
        yield server
    finally:
        server.close()
