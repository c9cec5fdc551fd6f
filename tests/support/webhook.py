"""A channel that takes messages over real HTTP, as a chat does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook(ThreadingHTTPServer):
    """Keeps each message; answers 503 to the first `failures` of them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[dict[str, str]] = []
        self.failures = 0
        self.tries = 0

    @property
    def url(self) -> str:
        """For apprise, with more patience than its 4 s."""
        return f"json://127.0.0.1:{self.server_port}/?rto=30&cto=30"

    @property
    def titles(self) -> list[str]:
        """The titles of the messages so far."""
        return [message["title"] for message in self.messages]


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.tries += 1
        failed = self.server.tries <= self.server.failures
        if not failed:
            self.server.messages.append(body)
        self.send_response(503 if failed else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Webhook]:
    """A webhook that is served from a thread until the end of the block."""
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
