"""What one request may cost, endpoint by endpoint: the table of docs/security.md, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from tests.app.admin.conftest import BEARER
from tests.support.wait import eventually

KIB = 1024
REQUESTS = 30
# The heartbeat and the health checks go on meanwhile; a beat is few commands.
NOISE_PER_SECOND = 60
DOCS = Path(__file__).parents[2] / "docs/security.md"


class Cost(NamedTuple):
    """A row of the table: commands that Redis gets, and bytes of an answer, at the most."""

    method: str
    path: str
    documented: str
    commands: float
    largest: int
    admin: bool = False
    body: Any = None


COSTS = [
    Cost("GET", "/api/health", "`/api/health`, `/api/health/*`", 0, 16 * KIB),
    Cost("GET", "/api/health/ready", "`/api/health`, `/api/health/*`", 0, 4 * KIB),
    Cost("GET", "/api/health/redis", "`/api/health`, `/api/health/*`", 0, 4 * KIB),
    Cost("GET", "/api/health/nothing", "`/api/health`, `/api/health/*`", 0, 4 * KIB),
    Cost("GET", "/api/metrics/connections", "`/api/metrics/*`", 2, 64 * KIB),
    Cost("GET", "/api/metrics/errors", "`/api/metrics/*`", 2, 64 * KIB),
    Cost("GET", "/api/metrics/errors?window={n}", "`/api/metrics/*`", 2, 64 * KIB),
    Cost("GET", "/api/metrics/histogram", "`/api/metrics/*`", 2, 64 * KIB),
    Cost("GET", "/api/metrics/outcomes/x{n}", "`/api/metrics/*`", 2, 64 * KIB),
    Cost("GET", "/metrics", "`/metrics`", 3, 1024 * KIB),
    Cost("GET", "/api/flags", "`/api/flags`", 0, 1024 * KIB),
    Cost("GET", "/api/flags?unit=u{n}", "`/api/flags`", 0, 1024 * KIB),
    Cost("GET", "/mina-ops/", "`/mina-ops/`", 0, 256 * KIB),
    Cost("GET", "/mina-ops/data", "`/mina-ops/`", 0, 4 * KIB),
    Cost("POST", "/mina-ops/session", "`/mina-ops/session`", 0, 4 * KIB, body={"token": "x"}),
    Cost("GET", "/admin/audit", "`/admin/*` without a token", 0, 4 * KIB),
    Cost("POST", "/admin/drain", "`/admin/*` without a token", 0, 4 * KIB, body={}),
    Cost("GET", "/admin/openapi.json", "`/admin/openapi.json`", 0, 1024 * KIB),
    Cost("GET", "/admin/audit?limit=1000", "`/admin/audit`", 2, 256 * KIB, admin=True),
    Cost("GET", "/admin/drain", "`/admin/drain`", 3, 64 * KIB, admin=True),
    Cost("POST", "/admin/flags", "`/admin/flags`", 16, 64 * KIB, admin=True,
         body={"key": "f{n}", "enabled": True}),
    Cost("GET", "/admin/flags", "`/admin/flags`", 1, 1024 * KIB, admin=True),
    Cost("GET", "/admin/flags/-/report", "`/admin/flags`", 4, 1024 * KIB, admin=True),
    Cost("GET", "/admin/releases", "`/admin/releases`", 3, 1024 * KIB, admin=True),
    Cost("GET", "/admin/leases/traffic", "`/admin/leases`", 1, 4 * KIB, admin=True),
    Cost("GET", "/admin/tokens", "`/admin/tokens`", 2, 256 * KIB, admin=True),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(redis_server: Any) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(f"redis://127.0.0.1:{redis_server.port}/9") as found:
        found.flushdb()
        yield found


@pytest.fixture
def client(make_app: Callable[..., Flask], redis_server: Any) -> FlaskClient:
    url = f"redis://127.0.0.1:{redis_server.port}/9"
    # Commands are what is counted; how long a busy machine's Redis takes for them is not.
    app = make_app(REDIS_URL=url, SECRET_KEY="k", MINA_OPS_BEAT=2.0, MINA_OPS_REDIS_TIMEOUT=5)
    found = app.test_client()
    # The first answers may come before its Redis was asked.
    eventually(lambda: found.get("/api/health").status_code == 200, 10)
    return found


def _commands(server: redis.Redis) -> int:
    stats: Any = server.info("commandstats")
    return sum(int(one["calls"]) for name, one in stats.items() if name != "cmdstat_info")


def _ask(client: FlaskClient, cost: Cost, number: int) -> int:
    def filled(value: Any) -> Any:
        return value.replace("{n}", str(number + 1)) if isinstance(value, str) else value

    body = None if cost.body is None else {k: filled(v) for k, v in cost.body.items()}
    headers = BEARER if cost.admin else {}
    answer = client.open(filled(cost.path), method=cost.method, json=body, headers=headers)
    assert answer.status_code < 500, answer.text
    return len(answer.data)


@pytest.mark.integration
@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: f"{cost.method} {cost.path}")
def test_a_request_costs_no_more_than_its_row_says(
    client: FlaskClient, server: redis.Redis, cost: Cost
) -> None:
    for number in range(2):
        _ask(client, cost, number)
    began, before = time.monotonic(), _commands(server)
    largest = max(_ask(client, cost, number) for number in range(REQUESTS))
    noise = NOISE_PER_SECOND * (time.monotonic() - began + 1)
    assert largest <= cost.largest
    assert _commands(server) - before <= cost.commands * REQUESTS + noise


def test_the_table_of_the_docs_has_each_of_these_rows() -> None:
    text = DOCS.read_text()
    for cost in COSTS:
        assert f"| {cost.documented} |" in text, cost.documented


HOSTILE = [
    ("POST", "/admin/drain", '{"grace_seconds": ' + "9" * 400 + "}"),
    ("POST", "/admin/drain", '{"grace_seconds": ' + "9" * 5_000 + "}"),
    ("POST", "/admin/drain", '{"grace_seconds": 1e999}'),
    ("POST", "/admin/drain", "[" * 100_000),
    ("POST", "/admin/flags", '{"key":"x","enabled":true,"rules":' + "[" * 500 + "]" * 500 + "}"),
    ("POST", "/admin/flags", '{"key":"x","enabled":true,"owner":"' + "a" * 70_000 + '"}'),
    ("POST", "/admin/flags", '{"key":"\\ud800","enabled":true}'),
    ("POST", "/admin/flags", "\x00\xff"),
    ("POST", "/admin/tokens", '{"name":"\\ud800","scopes":["read"]}'),
    ("PUT", "/admin/releases/..", "{}"),
    ("POST", "/mina-ops/session", '{"token":"\\ud800"}'),
    ("POST", "/mina-ops/act", '{"act":"drain","colour":["x"]}'),
    ("GET", "/admin/audit?limit=" + "9" * 400, ""),
    ("GET", "/admin/audit?before=1e400", ""),
    ("GET", "/api/metrics/errors?window=" + "9" * 400, ""),
    ("GET", "/api/metrics/errors?environment=" + "x" * 5_000, ""),
    ("GET", "/api/metrics/outcomes/" + "x" * 5_000, ""),
    ("GET", "/api/flags?" + "&".join(f"a{i}={i}" for i in range(5_000)), ""),
]


@pytest.mark.parametrize(("method", "path", "body"), HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_ends_in_a_traceback(
    make_app: Callable[..., Flask], method: str, path: str, body: str
) -> None:
    client = make_app(SECRET_KEY="k").test_client()
    for origin in ({}, {"Origin": "http://["}):
        answer = client.open(
            path, method=method, data=body.encode("latin-1"), headers={**BEARER, **origin},
            content_type="application/json",
        )  # fmt: skip
        assert answer.status_code < 500, answer.text
        assert len(answer.data) < 100 * KIB
