from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mina_ops.demo.load import Call, Tally, Worker, visit
from tests.support.wait import eventually


class Answers(BaseHTTPRequestHandler):
    """Answers as the app does, or with the status that the server was told."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.answer(200, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        is_new = not self.path.endswith("/finalize")
        self.answer(201 if is_new else 200, {"session_id": 7})

    def do_DELETE(self) -> None:
        self.answer(200, {})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        self.server.seen.append((self.command, self.path, self.headers.get("Cookie", "")))
        data = json.dumps(body).encode()
        self.send_response(self.server.status or status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Served-By", "blue v1")
        if "Cookie" not in self.headers:
            self.send_header("Set-Cookie", "mina_key=abc; Path=/; HttpOnly")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.seen, server.status = [], None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(server: Any, requests: int) -> Tally:
    tally, stop = Tally(), threading.Event()
    worker = Worker(f"127.0.0.1:{server.server_address[1]}", "token", tally)
    thread = threading.Thread(target=worker.run, args=(0.001, time.monotonic(), stop))
    thread.start()
    eventually(lambda: tally.requests >= requests)
    stop.set()
    thread.join()
    return tally


def test_a_visit_creates_fills_reads_finalizes_and_deletes_a_session() -> None:
    visitor = visit()
    calls: list[Call] = [next(visitor)]
    with suppress(StopIteration):
        while True:
            calls.append(visitor.send({"session_id": 7}))
    assert [calls[0].path, calls[1].path] == ["/live", "/api/sessions"]
    assert (calls[-2].path, calls[-1].method) == ("/api/sessions/7/finalize", "DELETE")
    assert {call.method for call in calls} == {"GET", "POST", "DELETE"}


def test_a_visitor_keeps_its_cookie_and_the_next_one_has_none(answering: Any) -> None:
    tally = run(answering, requests=60)
    assert tally.failed == 0
    assert tally.served_by["blue v1"] == tally.requests
    starts = [cookie for _, path, cookie in answering.seen if path == "/live"]
    assert set(starts) == {""}
    assert len(starts) > 1
    assert {cookie for _, path, cookie in answering.seen if path != "/live"} == {"mina_key=abc"}


def test_a_wrong_status_is_a_failure_with_its_reason(answering: Any) -> None:
    answering.status = 502
    tally = run(answering, requests=5)
    assert tally.failed == tally.requests
    assert tally.reasons == {"GET /live: 502 from blue v1": tally.requests}


def test_no_answer_is_a_failure_with_its_reason() -> None:
    with socket.socket() as silent:
        # Held but not listened on, so that nobody else listens there.
        silent.bind(("127.0.0.1", 0))
        nobody: Any = type("Nobody", (), {"server_address": silent.getsockname()})
        tally = run(nobody, requests=3)
    assert tally.failed == tally.requests
    assert all("ConnectionRefusedError" in reason for reason in tally.reasons)


def test_the_report_is_one_line_with_all_counts() -> None:
    tally = Tally()
    tally.add("blue v1", None)
    tally.add("nobody", "GET /live: timeout")
    assert json.loads(tally.to_json(final=True)) == {
        "requests": 2,
        "failed": 1,
        "reasons": {"GET /live: timeout": 1},
        "served_by": {"blue v1": 1, "nobody": 1},
        "final": True,
    }
