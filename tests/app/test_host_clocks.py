"""Clocks that step, and hosts that do not agree on the time, change no figure and no roster."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx

from mina_ops.demo.processes import Server
from tests.support.clock import Clock
from tests.support.hosts import Hosts
from tests.support.wait import eventually

HOST_APP = "tests.app.metrics.host:app"
TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def _host(start_host: Hosts, redis_url: str, clock: Clock, **more: str) -> Server:
    environment = {
        **clock.environment,
        "REDIS_URL": redis_url,
        "ENVIRONMENT": "blue",
        "MINA_OPS_BEAT": "0.2",
        "MINA_OPS_ADMIN_TOKENS": f"ci:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
        **more,
    }
    return start_host(HOST_APP, environment=environment)


def _ask(host: Server, path: str) -> Any:
    return httpx.get(f"{host.url}{path}", headers=BEARER, timeout=10).json()


def test_a_clock_that_steps_back_hides_no_error(
    start_host: Hosts, redis_url: str, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "clock")
    host = _host(start_host, redis_url, clock)

    def errors() -> int:
        return int(_ask(host, "/api/metrics/errors?window=60")["errors"])

    httpx.get(f"{host.url}/fails", timeout=10)
    eventually(lambda: errors() == 1, 10)
    for number, step in enumerate((-120, 7200), start=2):
        clock.set(step)
        httpx.get(f"{host.url}/fails", timeout=10)
        eventually(lambda number=number: errors() == number, 10, f"the error after {step} s")
    assert _ask(host, "/api/metrics/errors")["stale"] is False


def test_hosts_an_hour_apart_see_each_other_and_drain_within_the_grace(
    start_host: Hosts, redis_url: str, tmp_path: Path
) -> None:
    right, ahead = Clock(tmp_path / "right"), Clock(tmp_path / "ahead")
    ahead.set(3600)
    one = _host(start_host, redis_url, right, MINA_OPS_INSTANCE="0")
    other = _host(start_host, redis_url, ahead, MINA_OPS_INSTANCE="1")

    def everybody(host: Server) -> bool:
        httpx.get(f"{host.url}/works/1", timeout=10)
        return bool(_ask(host, "/api/metrics/errors")["reporters"] == 2)

    for host in (one, other):
        eventually(lambda host=host: everybody(host), 15, "two reporters")
    body = {"grace_seconds": 30}
    httpx.post(f"{other.url}/admin/drain", json=body, headers=BEARER, timeout=10)
    for host in (one, other):
        left = eventually(lambda host=host: _ask(host, "/admin/drain")["remaining_seconds"], 10)
        assert 10 < left <= 30
