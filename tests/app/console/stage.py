"""The fixture page: the console's own files, fed with states that were thought up.

`python -m tests.app.console.stage` serves a list of all states to look at. Tests change what a
state answers while a page is open.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mina_ops.page import assets
from tests.app.console import states


class Stage:
    """What each state answers; `orders` are the acts that pages asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.states = {name: states.made(name) for name in states.STATES}
        self.orders: list[dict[str, Any]] = []
        self.refusal: str | None = None
        self.dead = False

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a request."""
        if path == "/":
            links = "".join(f'<li><a href="/{n}/">{n}</a></li>' for n in self.states)
            return 200, {"Content-Type": "text/html"}, f"<ul>{links}</ul>".encode()
        name, _, rest = path.lstrip("/").partition("/")
        if name not in self.states or self.dead:
            return 503, {}, b""
        if method == "POST":
            return self._order(json.loads(body))
        if rest == "data":
            return 200, {"Content-Type": "application/json"}, json.dumps(self._now(name)).encode()
        asset = assets.find(rest)
        return (404, {}, b"") if asset is None else (200, dict(asset.headers), asset.body)

    def _now(self, name: str) -> states.State:
        return self.states[name] | {"at": states.made(name)["at"]}

    def _order(self, order: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if self.refusal:
            problem = json.dumps({"detail": self.refusal}).encode()
            return 409, {"Content-Type": "application/problem+json"}, problem
        self.orders.append(order)
        return 200, {"Content-Type": "application/json"}, b"{}"


@contextmanager
def running(port: int = 0) -> Iterator[Stage]:
    """A stage that is served on loopback until the end of the block."""
    stage = Stage()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            path = self.path.partition("?")[0]
            status, headers, body = stage.answer(self.command, path, self.rfile.read(length))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _serve  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    stage.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stage
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with running(8090) as shown:
        print(f"{shown.url}/  (Ctrl-C ends it)")
        threading.Event().wait()
