"""Several processes, forks after import, and a fleet that shares one sick dependency."""

from __future__ import annotations

import pytest

from mina_ops.demo.processes import Server
from tests.app.flags.flagging import PATIENT
from tests.app.health.probing import Probing, frozen, silent_port
from tests.support.hosts import Hosts
from tests.support.postgres import Postgres
from tests.support.wait import eventually

HOST_APP = "tests.app.health.health_host:app"
PRELOADED_APP = "tests.app.health.health_host_preloaded:app"
# Quick, and patient with who is only slow: one late result turns no state.
QUICK = {**PATIENT, "MINA_OPS_BEAT": "0.1", "MINA_OPS_HEALTH_INTERVAL": "0.2"}


@pytest.mark.parametrize(
    ("worker", "options"),
    [
        ("gthread", ["--preload"]),
        ("gevent", ["--preload"]),
        ("eventlet", ["--preload"]),
        ("socketio.run", []),
    ],
)
def test_every_process_runs_its_own_checks_also_when_it_was_forked_after_import(
    start_host: Hosts, own_redis: Server, worker: str, options: list[str]
) -> None:
    workers = 1 if worker == "socketio.run" else 3
    environment = {**QUICK, "REDIS_URL": own_redis.url, "DATABASE_URL": "sqlite://"}
    app = HOST_APP if worker == "socketio.run" else PRELOADED_APP
    host = start_host(app, worker=worker, workers=workers, environment=environment, options=options)
    probing = Probing(host)
    # Many connections, so that each process gets some.
    eventually(lambda: [probing.ask("")[0] for _ in range(30)] == [200] * 30, timeout=25)
    own_redis.kill()
    eventually(
        lambda: [probing.state("redis") for _ in range(30)] == [("unhealthy", "refused")] * 30,
        timeout=25,
    )
    assert {probing.ask("/live")[0] for _ in range(10)} == {200}


def test_an_emptied_redis_is_as_good_as_a_full_one(start_host: Hosts, own_redis: Server) -> None:
    import redis

    probing = Probing(start_host(HOST_APP, environment={**QUICK, "REDIS_URL": own_redis.url}))
    eventually(lambda: probing.ask("")[0] == 200)
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
        eventually(lambda: client.exists("mina:env:production:health"))
    eventually(lambda: probing.state("redis") == ("healthy", None))
    eventually(lambda: probing.ask("/ready")[0] == 200)


def test_a_dependency_that_everyone_fails_takes_nobody_out(
    start_host: Hosts, own_redis: Server, own_postgres: Postgres
) -> None:
    environment = {**QUICK, "REDIS_URL": own_redis.url}
    good = own_postgres.url()
    with silent_port() as port:
        sick = f"postgresql+psycopg://mina@127.0.0.1:{port}/x"
        blue = {**environment, "ENVIRONMENT": "blue", "DATABASE_URL": good}
        green = {**environment, "ENVIRONMENT": "green", "DATABASE_URL": sick}
        well, ill = (Probing(start_host(HOST_APP, environment=each)) for each in (blue, green))
        eventually(lambda: well.ask("/ready")[0] == 200)
        # Only green fails it: green must not get traffic.
        eventually(lambda: ill.ask("/ready")[1].get("reasons") == ["database"], timeout=10)
        with frozen(own_postgres.server):
            # Now blue fails it as well: both stay, and say so.
            eventually(lambda: well.state("database")[0] == "unhealthy", timeout=10)
            warned = (200, "ready", ["database fails for every process"])
            for probing in (well, ill):
                eventually(lambda probing=probing: _readiness(probing) == warned, timeout=10)
                assert probing.ask("")[0] == 503
        eventually(lambda: well.ask("/ready")[1].get("warnings") is None, timeout=10)
        eventually(lambda: ill.ask("/ready")[0] == 503, timeout=10)


def _readiness(probing: Probing) -> tuple[int, str, list[str] | None]:
    status, body = probing.ask("/ready")
    return status, body["status"], body.get("warnings")


def test_without_redis_nobody_is_taken_out_not_even_for_a_moment(
    start_host: Hosts, own_redis: Server
) -> None:
    probing = Probing(start_host(HOST_APP, environment={**QUICK, "REDIS_URL": own_redis.url}))
    eventually(lambda: probing.ask("/ready")[0] == 200)
    own_redis.kill()
    seen: set[int] = set()

    def warned() -> bool:
        status, body = probing.ask("/ready")
        seen.add(status)
        return "warnings" in body

    eventually(warned, timeout=10)
    assert seen == {200}
    assert probing.ask("")[0] == 503
