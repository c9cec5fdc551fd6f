"""Nothing that runs beside a green loop stops it: a host may log as much as it likes."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.processes import Server
from tests.support.hosts import Hosts
from tests.support.wait import eventually

HOST_APP = "tests.app.health.chatty_host:app"
QUICK = {
    "MINA_OPS_BEAT": "0.05",
    "MINA_OPS_HEALTH_INTERVAL": "0.05",
    # Twenty writers leave the checks little time, which is not what is tried here.
    "MINA_OPS_HEALTH_NEEDED": "3",
}
DRIVERS = ["psycopg", "psycopg2"]
CHECKS = ("database", "migrations", "library")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("worker", ["gevent", "eventlet"])
def test_a_host_that_logs_without_pause_goes_on(
    start_host: Hosts, database_url: str, tmp_path: Path, worker: str, driver: str
) -> None:
    _goes_on(start_host, database_url, tmp_path, worker, driver, seconds=6)


@pytest.mark.long
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("worker", ["gevent", "eventlet"])
def test_a_host_that_logs_without_pause_goes_on_for_two_minutes(
    start_host: Hosts, database_url: str, tmp_path: Path, worker: str, driver: str
) -> None:
    _goes_on(start_host, database_url, tmp_path, worker, driver, seconds=120)


def _goes_on(
    start_host: Hosts, url: str, folder: Path, worker: str, driver: str, *, seconds: float
) -> None:
    environment = {
        **QUICK,
        "DATABASE_URL": url.replace("+psycopg:", f"+{driver}:"),
        "CHATTY_LOG": str(folder / "chatty.log"),
    }
    host = start_host(HOST_APP, worker=worker, environment=environment)
    with httpx.Client(base_url=host.url, timeout=10) as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _moves_on(client, host)

        def checked() -> bool:
            _moves_on(client, host)
            found = client.get("/api/health?verbose").json()["checks"]
            sound = all(found[name]["status"] == "healthy" for name in ("database", "library"))
            return sound and all(found[name]["runs"] > 2 for name in CHECKS)

        eventually(checked, 10, "each check to have run three times")
        assert client.get("/api/health/live").status_code == 200


def _moves_on(client: httpx.Client, host: Server) -> None:
    before = int(client.get("/written").text)
    assert client.get("/").text == "hello", host.log.read_text()[-2000:]
    eventually(lambda: int(client.get("/written").text) > before, 10, "the writers stand still")
