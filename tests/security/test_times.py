"""How long one request takes, endpoint by endpoint, and while Redis hangs: docs/security.md.

With WRITE_DOCS=1 and --long a whole run writes the table. Its bounds are no benchmark: each is
what the code waits for at the most, a store's time limit for each question. A test allows for a
busy machine on top, and finds who waits for a store that never answers.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import websocket

from mina_ops.demo.processes import Server
from tests.security.host import TOKEN
from tests.security.test_costs import COSTS, Cost
from tests.support.hosts import Hosts
from tests.support.wait import PATIENCE, eventually

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[2] / "docs" / "security.md"
REDIS_SECONDS = 0.2
IN_MEMORY_SECONDS = 0.05
# A question to Redis that hangs: its time limit, and a connection that is made anew.
ASKS_SECONDS = 2 * REDIS_SECONDS
BUSY_SECONDS = 2.0
TIMES = 10
BLOCK = re.compile(r"(<!-- times -->\n).*?(<!-- end of times -->)", re.DOTALL)
# What a short run asks while Redis hangs: one that answers from memory, one that must ask.
SHORT = ("GET /api/health/ready", "GET /metrics", "GET /admin/audit?limit=1000")

# One for all: to make a client takes longer than most requests.
_HTTP = httpx.Client(timeout=30, trust_env=False)
_rows: dict[str, tuple[float, float, float]] = {}


class Ask(NamedTuple):
    """A row: its name in the table, how it is asked, and its bound while Redis hangs."""

    name: str
    run: Callable[[str, int], None]
    seconds: float


def _http(cost: Cost) -> Ask:
    def run(url: str, number: int) -> None:
        path = cost.path.replace("{n}", str(number + 1))
        body = json.loads(json.dumps(cost.body).replace("{n}", str(number + 1)))
        headers = {"Authorization": f"Bearer {TOKEN}"} if cost.admin else {}
        answer = _HTTP.request(cost.method, url + path, headers=headers, json=body)
        assert answer.status_code < 600

    questions = min(cost.commands, 4)
    seconds = IN_MEMORY_SECONDS if not questions else ASKS_SECONDS * questions
    return Ask(f"{cost.method} {cost.path}", run, seconds)


def _handshake(url: str, _: int) -> None:
    query = {"EIO": "4", "transport": "polling"}
    opened = _HTTP.get(f"{url}/socket.io/", params=query)
    assert opened.status_code == 200
    query["sid"] = json.loads(opened.text[1:])["sid"]
    for packet in ("40", "1"):
        _HTTP.post(f"{url}/socket.io/", params=query, content=packet)


def _raw_ping(url: str, _: int) -> None:
    place = url.replace("http:", "ws:") + "/socket.io/?transport=websocket"
    link = websocket.create_connection(place, timeout=30)
    try:
        link.send('{"type": "ping"}')
        assert json.loads(link.recv())["type"] == "pong"
    finally:
        link.close()


ASKED = [
    *map(_http, COSTS),
    Ask("Socket.IO handshake, a namespace joined and left", _handshake, IN_MEMORY_SECONDS),
    Ask("raw ping: connect, ping, pong, close", _raw_ping, IN_MEMORY_SECONDS),
]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from mina_ops.demo.servers import start_redis

    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def url(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real host under gunicorn, over a Redis that may hang."""
    hosts = Hosts(tmp_path_factory.mktemp("host"))
    try:
        server = hosts(
            "tests.security.host:app",
            threads=16,
            environment={"ENVIRONMENT": "blue", "REDIS_URL": redis.url},
        )
        eventually(lambda: httpx.get(f"{server.url}/api/health/ready").status_code == 200, 10)
        yield server.url
    finally:
        hosts.stop_all()


def _seconds(ask: Ask, url: str, number: int) -> float:
    began = time.perf_counter()
    ask.run(url, number)
    return time.perf_counter() - began


def _case(ask: Ask) -> Any:
    return pytest.param(ask, marks=() if ask.name in SHORT else (pytest.mark.long,), id=ask.name)


@pytest.mark.parametrize("ask", [_case(ask) for ask in ASKED])
def test_no_endpoint_waits_longer_than_its_row_says(redis: Server, url: str, ask: Ask) -> None:
    whole = bool(os.environ.get("WRITE_DOCS"))
    well = sorted(_seconds(ask, url, number) for number in range(TIMES if whole else 3))
    redis.pause()
    try:
        hung = max(_seconds(ask, url, 1000 + number) for number in range(3 if whole else 1))
    finally:
        redis.resume()
    # A machine that does much else adds some; who waits for a store that hangs waits for ever.
    assert hung <= PATIENCE * (ask.seconds + well[-1]) + BUSY_SECONDS
    _rows[ask.name] = (statistics.median(well), well[-1], hung)
    eventually(lambda: httpx.get(f"{url}/api/health/ready").status_code == 200, 10)


@pytest.fixture(scope="module", autouse=True)
def _a_whole_run_writes_the_table() -> Iterator[None]:
    yield
    _HTTP.close()
    if os.environ.get("WRITE_DOCS"):
        text = DOCS.read_text()
        DOCS.write_text(BLOCK.sub(lambda found: found[1] + _table() + found[2], text))


def _table() -> str:
    lines = ["", "| request | median | slowest of 10 | while Redis hangs | bound then |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for ask in ASKED:
        measured = _rows.get(ask.name, ())
        times = " | ".join(f"{1000 * seconds:.0f} ms" for seconds in measured) or "- | - | -"
        lines.append(f"| `{ask.name}` | {times} | {1000 * ask.seconds:.0f} ms |")
    return "\n".join([*lines, "", ""])


def test_every_endpoint_of_the_cost_table_has_its_time() -> None:
    block = BLOCK.search(DOCS.read_text())
    assert block is not None
    assert [ask.name for ask in ASKED if f"| `{ask.name}` |" not in block[0]] == []
