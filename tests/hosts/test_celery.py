"""A real Celery worker asks a flag, hears of its change, and is waited for by a kill."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.processes import Server, start
from tests.hosts.promises import BEARER
from tests.support.hosts import REPOSITORY, Hosts
from tests.support.wait import eventually


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    return {
        "ZOO_HOST": "celery_worker",
        "CELERY_URL": redis_url,
        "REDIS_URL": redis_url,
        "MINA_OPS_BEAT": "0.2",
    }


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    """A worker with two forked children."""
    argv = [sys.executable, "-m", "celery", "-A", "tests.hosts.serve:celery", "worker"]
    argv += ["--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    with start(
        "celery",
        argv,
        tmp_path,
        environment={"PYTHONPATH": str(REPOSITORY), **environment},
        ready=lambda server: b"ready." in server.log.read_bytes(),
    ) as server:
        yield server


@pytest.mark.usefixtures("worker")
def test_a_worker_learns_of_a_kill_and_is_waited_for(
    environment: dict[str, str], start_host: Hosts
) -> None:
    host = start_host("tests.hosts.serve:app", environment=environment)
    with httpx.Client(base_url=host.url, headers=BEARER, timeout=60) as client:
        flag = {"key": "zoo", "enabled": True}
        assert client.post("/admin/flags", json=flag).status_code == 201
        eventually(lambda: client.get("/audio").text == "True", 20, "the worker to know the flag")

        def killed() -> bool:
            """Whether a kill waits for the web process and at least the child that ran the task."""
            assert client.post("/admin/flags", json=flag).status_code in (200, 201)
            told = client.post("/admin/flags", json={**flag, "enabled": False}).json()
            assert (told["confirmed"], told["waiting_for"]) == (True, [])
            return len(told["applied_by"]) >= 2

        # A child that has just run its first task is known to the others a beat later.
        eventually(killed, 20, "nobody waits for the worker")
        assert client.get("/audio").text == "False"
