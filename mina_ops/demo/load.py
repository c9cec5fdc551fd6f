"""Steady HTTP load on the demo: visitors who create, fill, read and finalize sessions.

Each worker has one keep-alive connection and plays one visitor after the other; a visitor keeps
the cookies it is given. Nothing is retried: whatever is not answered as it should is a failure,
counted with its reason.
"""

from __future__ import annotations

import http.client
import json
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 10.0
WORKERS = 8
REPORT_SECONDS = 0.5
ROUNDS_OF_A_VISIT = 6


@dataclass(frozen=True)
class Call:
    """One request, and the status that it should get."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    expected: int = 200
    name: str = ""


Visit = Generator[Call, dict[str, Any], None]


def visit() -> Visit:
    """One visitor's requests; is sent the JSON body of each answer."""
    yield Call("GET", "/live", name="GET /live")
    created = yield Call("POST", "/api/sessions", {"title": "Load"}, 201, "POST /api/sessions")
    path = f"/api/sessions/{created['session_id']}"
    for number in range(ROUNDS_OF_A_VISIT):
        segment = {"text": f"sentence {number}", "speaker": "Ada"}
        yield Call("POST", f"{path}/segments", segment, 201, "POST segment")
        yield Call("GET", path, name="GET session")
        yield Call("GET", "/api/sessions", name="GET /api/sessions")
    yield Call("POST", f"{path}/finalize", {}, name="POST finalize")
    yield Call("DELETE", path, name="DELETE session")


@dataclass
class Tally:
    """What happened so far; its methods may be called from any thread."""

    requests: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    served_by: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, served_by: str, reason: str | None) -> None:
        """Count one request; `reason` says why it failed."""
        with self._lock:
            self.requests += 1
            self.served_by[served_by] += 1
            if reason is not None:
                self.failed += 1
                self.reasons[reason] += 1

    def to_json(self, *, final: bool) -> str:
        """One line."""
        with self._lock:
            return json.dumps(
                {
                    "requests": self.requests,
                    "failed": self.failed,
                    "reasons": dict(self.reasons.most_common(20)),
                    "served_by": dict(self.served_by),
                    "final": final,
                }
            )


class Worker:
    """One keep-alive connection that plays visits until it is told to stop."""

    def __init__(self, address: str, token: str, tally: Tally) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
        self._authorization = f"Bearer {token}"
        self._tally = tally
        self._cookie = self._agent = ""

    def run(self, interval_seconds: float, start_at: float, stop: threading.Event) -> None:
        """Send a request every `interval_seconds`, or one after the other if that is too fast."""
        next_at = start_at
        while not stop.is_set():
            # A visitor of its own: before it has the site's cookie, its user agent tells it apart.
            self._cookie, self._agent = "", f"mina-demo/{secrets.token_hex(4)}"
            visitor = visit()
            call: Call | None = next(visitor)
            while call is not None:
                if stop.wait(max(0.0, next_at - time.monotonic())):
                    break
                # After a stall the rate is kept, the backlog is not made up for.
                next_at = max(next_at + interval_seconds, time.monotonic() - interval_seconds)
                call = self._step(visitor, call)
        self._connection.close()

    def _step(self, visitor: Visit, call: Call) -> Call | None:
        served_by, reason = "nobody", None
        body: dict[str, Any] = {}
        try:
            status, served_by, body = self._send(call)
            if status != call.expected:
                reason = f"{call.name}: {status} from {served_by}"
        except (OSError, http.client.HTTPException, ValueError) as exc:
            reason = f"{call.name}: {type(exc).__name__}: {exc}"
            self._connection.close()
        self._tally.add(served_by, reason)
        if reason is not None:
            return None
        try:
            return visitor.send(body)
        except StopIteration:
            return None

    def _send(self, call: Call) -> tuple[int, str, dict[str, Any]]:
        headers = {"Authorization": self._authorization, "User-Agent": self._agent}
        if self._cookie:
            headers["Cookie"] = self._cookie
        data = None
        if call.body is not None:
            data = json.dumps(call.body)
            headers["Content-Type"] = "application/json"
        self._connection.request(call.method, call.path, data, headers)
        response = self._connection.getresponse()
        content = response.read()
        for cookie in response.headers.get_all("Set-Cookie") or ():
            if cookie.startswith("mina_key="):
                self._cookie = cookie.split(";", 1)[0]
        is_json = response.headers.get_content_type() == "application/json"
        body = json.loads(content) if is_json else {}
        return response.status, response.headers.get("X-Served-By", "nobody"), body


def main() -> None:
    """Load the address in the JSON of the first argument until TERM; report on stdout."""
    options = json.loads(sys.argv[1])
    address, tally, stop = urlsplit(options["url"]).netloc, Tally(), threading.Event()
    interval_seconds = WORKERS / options["requests_per_second"]

    def leave(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    now = time.monotonic()
    threads = []
    for number in range(WORKERS):
        worker = Worker(address, options["token"], tally)
        start_at = now + number * interval_seconds / WORKERS
        threads.append(threading.Thread(target=worker.run, args=(interval_seconds, start_at, stop)))
        threads[-1].start()
    while not stop.wait(REPORT_SECONDS):
        print(tally.to_json(final=False), flush=True)
    for thread in threads:
        thread.join()
    print(tally.to_json(final=True), flush=True)


if __name__ == "__main__":
    main()
