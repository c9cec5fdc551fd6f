"""Ask the processes of a host what they believe, change flags, and load the host meanwhile."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mina_ops.app.flags.confirm import MOST_SECONDS
from mina_ops.app.state import keys
from mina_ops.app.state.redis import RedisStore
from mina_ops.demo.processes import HOST, Server
from tests.support.wait import PATIENCE, eventually

APP = "tests.app.flags.flags_host:app"
TOKEN = "of-the-tests"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
# Where no outage is part of a test, nobody is given up who is only slow.
PATIENT = {"MINA_OPS_REDIS_TIMEOUT": "5", "MINA_OPS_PRESENCE_TTL": "30"}
# A server may close a connection that was idle for 2 s, as a visitor who was held up leaves it.
LASTING = ("--keep-alive", "60")


def environment(redis_url: str, colour: str = "blue", **more: str) -> dict[str, str]:
    """The variables of a host of these tests."""
    return {
        "REDIS_URL": redis_url,
        "ENVIRONMENT": colour,
        "APP_VERSION": "v2.5.0",
        "MINA_OPS_ADMIN_TOKENS": f"ops:{DIGEST}",
        **PATIENT,
        **more,
    }


def call(
    server: Server, method: str, path: str, body: Any = None, seconds: float = 45
) -> tuple[int, dict[str, Any]]:
    """Status and body of one request over a connection of its own."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=seconds)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def change(server: Server, key: str, **values: Any) -> tuple[int, dict[str, Any]]:
    """Set fields of a flag."""
    return call(server, "POST", "/admin/flags", {"key": key, **values})


def kill(server: Server, key: str) -> tuple[int, dict[str, Any]]:
    """Turn a flag off, and wait as long as may be until every process has applied that."""
    return change(server, key, enabled=False, confirm_seconds=MOST_SECONDS)


def count_up(port: int, times: int, together: threading.Barrier) -> int:
    """Raise a number in a flag that others raise too; how often one of them came first.

    All of them read it once before one of them writes.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=45)
    allowed = {"Authorization": f"Bearer {TOKEN}"}
    refused, alone = 0, False
    while times:
        connection.request("GET", "/admin/flags/audio", headers=allowed)
        answer = connection.getresponse()
        n, revision = json.loads(answer.read())["metadata"]["n"], answer.headers["ETag"]
        if not alone:
            together.wait()
            alone = True
        body = json.dumps({"key": "audio", "metadata": {"n": n + 1}})
        connection.request("POST", "/admin/flags", body, {**allowed, "If-Match": revision})
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 412)
        refused += answer.status == 412
        times -= answer.status == 200
    connection.close()
    return refused


def told(server: Server, key: str) -> dict[str, Any]:
    """What some process of the host believes of a flag."""
    status, body = call(server, "GET", f"/told/{key}")
    assert status == 200
    return body


def told_by_all(server: Server, key: str, processes: int) -> dict[int, dict[str, Any]]:
    """What each process believes: its first answer after the call, pid -> body."""
    found: dict[int, dict[str, Any]] = {}
    deadline = time.monotonic() + PATIENCE * 20
    while len(found) < processes:
        body = told(server, key)
        found.setdefault(body["pid"], body)
        assert time.monotonic() < deadline, f"only {len(found)} of {processes} processes answer"
    return found


@contextmanager
def opened(redis_url: str) -> Iterator[RedisStore]:
    """The store, as another program sees it."""
    store = RedisStore.from_url(redis_url, timeout_seconds=10.0)
    try:
        yield store
    finally:
        store.close()


def processes_known(redis_url: str, count: int, colour: str = "blue") -> None:
    """Wait until so many processes of a colour are on the roster, so that a change awaits them."""
    with opened(redis_url) as store:
        roster = keys.presence(colour)
        eventually(lambda: len(store.members(roster)) >= count, 15.0, f"{count} processes")


@dataclass
class Load:
    """What visitors met: seconds of each request, faults, and answers by their `on`."""

    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answers: set[bool] = field(default_factory=set)

    def quantile(self, share: float) -> float:
        """A quantile of the durations, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def fresh(self) -> None:
        """Forget what was met so far."""
        self.seconds, self.faults, self.answers = [], [], set()


@contextmanager
def loaded(server: Server, key: str, visitors: int = 4, pause: float = 0.01) -> Iterator[Load]:
    """Visitors over keep-alive connections, who ask for a flag all the time."""
    load, ended = Load(), threading.Event()
    threads = [
        threading.Thread(target=_visit, args=(server, key, load, ended, pause))
        for _ in range(visitors)
    ]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _visit(server: Server, key: str, load: Load, ended: threading.Event, pause: float) -> None:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=45)
    while not ended.wait(pause):
        began = time.perf_counter()
        try:
            connection.request("GET", f"/told/{key}")
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status != 200:
                load.faults.append(f"status {answer.status}")
            load.answers.add(body["on"])
        except http.client.RemoteDisconnected:
            connection.close()  # the server may close a connection that was idle
            continue
        except (OSError, ValueError, http.client.HTTPException) as error:
            load.faults.append(repr(error))
            connection.close()
        load.seconds.append(time.perf_counter() - began)
    connection.close()
