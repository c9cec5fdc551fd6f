"""The HTTP server of `mina-ops judge`: few connections, short ones, small bodies.

Every connection is one request: it is read within `REQUEST_SECONDS`, however slowly it drips, and
not more than `MOST_CONNECTIONS` are open; one more is told 503 at once.
"""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mina_ops.errors import ConfigurationError
from mina_ops.operator.judge.access import Access
from mina_ops.operator.judge.hooks import Hooks
from mina_ops.operator.judge.reply import Reply, problem

REQUEST_SECONDS = 5.0
ANSWER_SECONDS = 5.0
MOST_CONNECTIONS = 32
MOST_BYTES = 64 * 1024

_FULL = (
    b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)

Log = Callable[[Mapping[str, Any]], None]


class JudgeServer(ThreadingHTTPServer):
    """Listens from the start; `serve_forever` answers, `shutdown` and `server_close` end it."""

    daemon_threads = False  # those that are being answered are waited for at the end
    request_queue_size = 64

    def __init__(self, access: Access, hooks: Hooks, log: Log) -> None:
        self.access, self.hooks, self.log = access, hooks, log
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        if ":" in access.host:
            self.address_family = socket.AF_INET6
        super().__init__((access.host, access.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if there is room for one more."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.settimeout(0.0)
            request.send(_FULL)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread of one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or never ended its request is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer
    server_version = "mina-ops"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self._began = time.monotonic()
        deadline = self._began + REQUEST_SECONDS
        self.rfile = io.BufferedReader(_Until(self.connection, deadline))

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_PUT = do_HEAD = do_GET  # noqa: N815 - the names that the base calls

    def _answer(self) -> None:
        reply = self._reply()
        data = json.dumps(reply.body).encode()
        headers = {"Content-Type": "application/json", **reply.headers}
        headers |= {"Cache-Control": "no-store", "Content-Length": str(len(data))}
        self.connection.settimeout(ANSWER_SECONDS)
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self._tell(reply)

    def _reply(self) -> Reply:
        path = self.path.partition("?")[0]
        body = self._body()
        if isinstance(body, Reply):
            return body
        refusal = None if path == "/health" else self.server.access.refuses(self.headers, body)
        if refusal is not None:
            return refusal
        method = "GET" if self.command == "HEAD" else self.command
        found = self.server.hooks.find(method, path)
        return found if isinstance(found, Reply) else found(body)

    def _body(self) -> Mapping[str, Any] | Reply:
        """The request's JSON object; {} without a body."""
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isascii() or not length.isdigit():
            return problem(HTTPStatus.LENGTH_REQUIRED, "Send the body's length.")
        if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:
            told = f"At most {MOST_BYTES} bytes are read."
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, told)
        raw = self.rfile.read(int(length))
        try:
            body = json.loads(raw) if raw.strip() else {}
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return problem(HTTPStatus.BAD_REQUEST, "The body must be a JSON object.")
        return body

    def _tell(self, reply: Reply) -> None:
        entry = {
            "time": time.time(),
            "client": self.client_address[0],
            "method": self.command,
            "path": self.path.partition("?")[0][:200],
            "status": int(reply.status),
            "milliseconds": round(1000 * (time.monotonic() - self._began)),
        }
        said = {key: reply.body[key] for key in ("verdict", "state", "detail") if key in reply.body}
        self.server.log({**entry, **said})

    def log_message(self, *_: object) -> None:
        """Every answer is told once, by `_tell`."""


class _Until(io.RawIOBase):
    """Reads a socket until a moment, however little comes at a time."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


@contextmanager
def running(access: Access, hooks: Hooks, log: Log) -> Iterator[JudgeServer]:
    """The server, answering until the end of the block, when it ends what it is at.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    try:
        server = JudgeServer(access, hooks, log)
    except OSError as exc:
        raise ConfigurationError(
            f"{access.host}:{access.port} cannot be listened on: {exc.strerror}. "
            "Give another --listen."
        ) from exc
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
