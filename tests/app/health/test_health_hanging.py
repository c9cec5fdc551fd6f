"""Whatever hangs, the probes answer from memory: in threads, gevent and eventlet."""

from __future__ import annotations

import json

import pytest

from mina_ops.demo.openai_standin import OpenAIStandIn
from mina_ops.demo.processes import Server
from tests.app.health.probing import Probing, frozen, misbehaving, silent_port
from tests.support.hosts import Hosts
from tests.support.postgres import Postgres
from tests.support.wait import eventually

HOST_APP = "tests.app.health.health_host:app"
WORKERS = ["gthread", "gevent", "eventlet"]
QUICK = {
    "MINA_OPS_BEAT": "0.1",
    "MINA_OPS_HEALTH_INTERVAL": "0.2",
    "MINA_OPS_HEALTH_NEEDED": "1",
}
# An answer that waited for a dependency would take its deadline, 2 s and more; one that comes
# from memory takes a millisecond. In between lies what a busy machine may add.
FROM_MEMORY_SECONDS = 1.0


def _never_waits(probing: Probing, requests: int = 50) -> None:
    for number in range(requests):
        probing.ask(("", "/ready", "/db", "/redis", "/openai")[number % 5])
    # Not the longest few: the machine may stand still for a moment.
    assert probing.quantile(0.9, requests) < FROM_MEMORY_SECONDS


@pytest.mark.parametrize("worker", WORKERS)
def test_a_process_that_starts_among_hung_dependencies_answers_from_memory(
    start_host: Hosts, worker: str
) -> None:
    with silent_port() as database, silent_port() as redis, silent_port() as openai:
        environment = {
            **QUICK,
            "DATABASE_URL": f"postgresql+psycopg://mina:pw@127.0.0.1:{database}/x",
            "REDIS_URL": f"redis://127.0.0.1:{redis}/0",
            "MINA_OPS_REDIS_TIMEOUT": "5",
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{openai}/v1",
            "OWN_CHECK": "hang",
        }
        probing = Probing(start_host(HOST_APP, worker=worker, environment=environment))
        assert probing.ask("")[0] == 503
        _never_waits(probing)
        eventually(lambda: probing.ask("/started")[0] == 200, timeout=15)
        for check in ("database", "redis", "openai"):
            assert probing.state(check) == ("unhealthy", "timeout")
        for check in ("websockets", "disk_space"):
            eventually(lambda check=check: probing.state(check)[0] == "healthy")
        assert probing.ask("/live")[0] == 200
        assert probing.ask("/ready")[0] == 503
        _never_waits(probing)
        verbose = probing.ask("?verbose")[1]["checks"]
        assert all(verbose[check]["abandoned_runs"] <= verbose[check]["runs"] for check in verbose)


@pytest.mark.parametrize("worker", WORKERS)
def test_each_dependency_that_hangs_is_seen_and_its_return_too(
    start_host: Hosts, own_postgres: Postgres, own_redis: Server, worker: str
) -> None:
    with OpenAIStandIn() as standin:
        environment = {
            **QUICK,
            "DATABASE_URL": own_postgres.url(),
            "REDIS_URL": own_redis.url,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": standin.base_url,
        }
        probing = Probing(start_host(HOST_APP, worker=worker, environment=environment))
        eventually(lambda: probing.ask("")[0] == 200, timeout=10)
        hangs = {
            "database": lambda: frozen(own_postgres.server),
            "redis": lambda: frozen(own_redis),
            "openai": lambda: misbehaving(standin, "hang"),
        }
        for check, hang in hangs.items():
            with hang():
                eventually(
                    lambda check=check: probing.state(check) == ("unhealthy", "timeout"),
                    timeout=15,
                    message=f"nobody saw {check} hang",
                )
                _never_waits(probing)
            eventually(lambda: probing.ask("")[0] == 200, timeout=15)
        print(json.dumps({"worker": worker, "p99_ms": round(probing.quantile(0.99) * 1000, 1)}))


def test_an_ai_service_that_refuses_is_told_by_class(start_host: Hosts) -> None:
    with OpenAIStandIn() as standin:
        environment = {**QUICK, "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": standin.base_url}
        probing = Probing(start_host(HOST_APP, environment=environment))
        for mode, error in (("401", "auth"), ("500", "error")):
            with misbehaving(standin, mode):
                eventually(lambda error=error: probing.state("openai") == ("unhealthy", error))
                assert probing.ask("/openai")[0] == 503
        eventually(lambda: probing.ask("/openai")[1]["status"] == "available")
