"""What goes wrong during a drain, on real processes: nothing of it keeps the drain from ending."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis

from mina_ops.app.state import keys
from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.demo.servers import answers
from tests.app.drain.fleet import (
    APP,
    PATIENT,
    PATIENT_STREAMS,
    Clients,
    Colour,
    Fleet,
    colour,
    losses,
    proxy,
)
from tests.support.hosts import READY_PATH, REPOSITORY, Hosts
from tests.support.needs import missing
from tests.support.stock import StockClients
from tests.support.wait import eventually

FLUSHED = "test:flushed"
DIES = "test:dies"
DIED = "test:died"


@pytest.fixture
def stock() -> Iterator[StockClients]:
    with StockClients() as clients:
        yield clients


def test_a_worker_killed_during_the_drain_takes_its_sessions_off_the_count(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    with (
        Fleet(start_host, tmp_path / "nginx", redis_url, worker="gevent", workers=2) as fleet,
        Clients.start(node, fleet.proxy.url, clients=20, mode="stream") as clients,
    ):
        clients.wait_for(connected=20, colours={"blue": 20})
        eventually(lambda: fleet.blue.active() == 20, 5, "not all are counted")
        fleet.blue.drain(grace_seconds=60)

        def both() -> list[dict[str, Any]]:
            processes: list[dict[str, Any]] = fleet.blue.status()["processes"]
            return processes if len(processes) == 2 else []

        processes = eventually(both, 5, "one process is not heard of")
        victim = max(processes, key=lambda process: process["remaining"])
        kill(int(victim["process"].split(":")[-2]))
        fleet.blue.drain(grace_seconds=6)
        status = fleet.blue.wait_until_drained(20)
        assert status["remaining"] == 0
        clients.wait_for(25, connected=20, colours={"green": 20})
        result = losses(redis_url, clients.finish()["streams"])
        assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)


def kill(pid: int) -> None:
    """Kill a worker; afterwards it takes no requests."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid), 5, "nobody has reaped it")


def test_a_worker_killed_between_an_effect_and_its_mark_has_nothing_handled_twice(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    with (
        Fleet(
            *(start_host, tmp_path / "nginx", redis_url),
            worker="gevent",
            workers=2,
            environment={"MORTAL": "1"},
        ) as fleet,
        Clients.start(node, fleet.proxy.url, clients=4, mode="stream", interval_ms=200) as clients,
    ):
        clients.wait_for(connected=4, colours={"blue": 4})
        fleet.blue.drain(grace_seconds=60)
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            client.set(DIES, 1)
            died = eventually(lambda: client.hgetall(DIED), 10, "no worker died")
        fleet.blue.drain(grace_seconds=6)
        fleet.blue.wait_until_drained(20)
        clients.wait_for(25, connected=4, colours={"green": 4})
        final = clients.finish()
        assert final["streams"][died["stream"]] > int(died["seq"])
        result = losses(redis_url, final["streams"])
        assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)


@pytest.mark.parametrize("fault", ["killed", "paused"])
def test_a_drain_ends_by_its_deadline_although_redis_is(
    fault: str, start_host: Hosts, own_redis: Server, redis_url: str, node: Path, tmp_path: Path
) -> None:
    # What is handled goes to the Redis that stays; mina_ops shares the one that does not.
    with (
        Fleet(
            start_host,
            tmp_path / "nginx",
            own_redis.url,
            worker="gevent",
            environment={**PATIENT, "LEDGER_URL": redis_url, "MINA_OPS_REDIS_TIMEOUT": "0.2"},
        ) as fleet,
        Clients.start(node, fleet.proxy.url, clients=12, **PATIENT_STREAMS) as clients,
    ):
        clients.wait_for(connected=12, colours={"blue": 12})
        eventually(lambda: fleet.blue.drain(grace_seconds=4).is_success, 5, "it takes no order")
        own_redis.kill() if fault == "killed" else own_redis.pause()
        status = fleet.blue.wait_until_drained(12)
        assert (status["remaining"], status["forced"]) == (0, 0)
        clients.wait_for(25, connected=12, colours={"green": 12})
        result = losses(redis_url, clients.finish()["streams"])
        assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
        if fault == "paused":
            own_redis.resume()


def test_an_order_that_redis_forgot_still_stands(start_host: Hosts, own_redis: Server) -> None:
    blue = colour(start_host, "blue", redis_url=own_redis.url, worker="gthread")
    order_id = blue.drain(grace_seconds=60).json()["order_id"]
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
        order = keys.drain_order("blue")
        eventually(lambda: client.exists(order), 5, "the order was not kept")
    assert blue.status()["order_id"] == order_id
    assert blue.cancel().json()["state"] == "serving"


@pytest.mark.parametrize("worker", ["gthread", "gevent", "eventlet"])
@pytest.mark.parametrize("peers", ["idle", "flooded"])
def test_stalled_clients_leave_nothing_behind_and_the_process_can_end(
    peers: str, worker: str, start_host: Hosts, redis_url: str, node: Path
) -> None:
    # A peer that took all that was sent has nothing to lose; it is cut, but not forced.
    has_something_to_lose = peers == "flooded"
    blue = colour(
        start_host,
        "blue",
        redis_url=redis_url,
        worker=worker,
        # Longer than this test may take: gunicorn itself would bear with the peers that long.
        options=["--graceful-timeout", "600"],
    )
    with Clients.start(node, blue.server.url, clients=3) as clients:
        clients.wait_for(connected=3)
        clients.process.send_signal(signal.SIGSTOP)
        try:
            if peers == "flooded":
                assert blue.http.post("/flood").text == "sent"
            blue.drain(grace_seconds=1)
            status = blue.wait_until_drained(15)
            # While the peers still stand still: nobody waits for them any more.
            eventually(
                lambda: not _connections_of(clients.process.pid, blue), 5, "connections stay open"
            )
        finally:
            clients.process.send_signal(signal.SIGCONT)
        assert status["remaining"] == 0
        assert status["forced"] == (3 if has_something_to_lose else 0)
        blue.server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not blue.server.alive, 15, "cut clients keep the process alive")


def _connections_of(client_pid: int, one: Colour) -> list[int]:
    """The client's ports to which a process of this colour still holds a connection."""
    theirs = {c.laddr.port for c in psutil.Process(client_pid).net_connections("tcp")}
    master = psutil.Process(one.server.pid)
    ours = [c for p in master.children() for c in p.net_connections("tcp")]
    return [c.raddr.port for c in ours if c.raddr and c.raddr.port in theirs]


def test_clients_that_never_acknowledge_are_closed_after_the_acknowledgement_time(
    start_host: Hosts, redis_url: str, node: Path
) -> None:
    patient = {"MINA_OPS_DRAIN_CUT": "30"}
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread", environment=patient)
    with Clients.start(node, blue.server.url, clients=5, acknowledge=False) as clients:
        clients.wait_for(connected=5)
        blue.drain(grace_seconds=2)
        status = blue.wait_until_drained(10)
        assert status["forced"] == 0
        assert clients.wait_for(connected=0)["reasons"] == {"transport close": 5}
        assert clients.last["handoffs"] == 5


def test_a_hold_that_never_ends_is_flushed_at_the_deadline_or_named(
    start_host: Hosts, redis_url: str, stock: StockClients
) -> None:
    # So long may a flush take.
    patient = {"MINA_OPS_DRAIN_CUT": "6"}
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread", environment=patient)
    names = ("ok", "fail", "none")
    holders = {name: stock.connect(blue.server.url, "websocket") for name in names}
    for name, client in holders.items():
        assert client.call("hold", (f"work-{name}", name)) == "held"
    idle = stock.connect(blue.server.url, "websocket")
    blue.drain(grace_seconds=60)
    eventually(lambda: not idle.connected, 5, "an idle session waits for those with holds")
    assert all(client.connected for client in holders.values())
    assert sorted(blue.status()["holds"]) == ["work:work-fail", "work:work-none", "work:work-ok"]
    blue.drain(grace_seconds=0)
    status = blue.wait_until_drained(12)
    assert sorted(status["unflushed"]) == ["work:work-fail", "work:work-none"]
    assert status["holds"] == []
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.lrange(FLUSHED, 0, -1) == ["work-ok"]
    for one in holders.values():
        eventually(lambda one=one: not one.connected, 5, "a holder is still there")


def test_a_handler_in_flight_ends_and_its_acknowledgement_arrives(
    start_host: Hosts, redis_url: str, stock: StockClients
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread", environment=PATIENT)
    client = stock.connect(blue.server.url, "websocket")
    handed, heard, answered = threading.Event(), list[str](), list[str]()
    client.on("session:handoff", lambda _: handed.set())
    client.on("slow:done", heard.append)
    client.emit("slow", "test:enough", callback=answered.append)
    eventually(lambda: blue.status()["in_flight"] == 1, 5, "the handler does not run")
    blue.drain(grace_seconds=60)
    eventually(handed.is_set, 5, "no hand-off came")
    with redis.Redis.from_url(redis_url) as ledger:
        ledger.set("test:enough", 1)
    status = blue.wait_until_drained(12)
    assert status["forced"] == 0
    eventually(lambda: not client.connected, 5, "the client is still there")
    assert (answered, heard) == (["blue"], ["blue"])


def test_a_disconnect_handler_that_hangs_does_not_keep_the_drain_from_ending(
    start_host: Hosts, redis_url: str, node: Path
) -> None:
    blue = colour(
        start_host, "blue", redis_url=redis_url, worker="gthread", environment={"DEAF": "1"}
    )
    with Clients.start(node, blue.server.url, clients=3) as clients:
        clients.wait_for(connected=3)
        blue.drain(grace_seconds=1)
        status = blue.wait_until_drained(20)
        assert (status["remaining"], status["forced"]) == (0, 3)


def test_a_drain_may_be_ordered_twice_cancelled_and_ordered_again(
    start_host: Hosts, redis_url: str, node: Path
) -> None:
    blue = colour(
        start_host, "blue", redis_url=redis_url, worker="gevent", workers=2, environment=PATIENT
    )
    with Clients.start(node, blue.server.url, clients=6) as clients:
        clients.wait_for(connected=6)
        eventually(lambda: blue.active() == 6, 5, "not all are counted")
        first = blue.drain(grace_seconds=60)
        again = blue.drain(grace_seconds=600)
        assert (first.status_code, again.status_code) == (202, 200)
        assert first.json()["order_id"] == again.json()["order_id"]
        assert first.json()["deadline"] == again.json()["deadline"]
        tightened = blue.drain(grace_seconds=30)
        assert tightened.status_code == 200
        assert tightened.json()["deadline"] < first.json()["deadline"]
        cancelled = blue.cancel()
        assert (cancelled.status_code, blue.cancel().status_code) == (200, 200)
        assert cancelled.json()["state"] == "serving"

        def both_serve() -> bool:
            states = [one["state"] for one in blue.status()["processes"]]
            return states == ["serving", "serving"]

        eventually(both_serve, 5, "a process still drains")
        clients.wait_for(15, connected=6)
        ready = f"{blue.server.url}/api/health/ready"
        eventually(lambda: httpx.get(ready).status_code == 200, 10, "not ready again")
        third = blue.drain(grace_seconds=2)
        assert third.status_code == 202
        assert third.json()["order_id"] != first.json()["order_id"]
        assert blue.wait_until_drained(12)["forced"] == 0


def test_a_process_that_starts_during_a_drain_obeys_too(start_host: Hosts, redis_url: str) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    blue.drain(grace_seconds=60)
    late = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    eventually(
        lambda: (
            httpx.get(f"{late.server.url}/socket.io/?EIO=4&transport=polling").status_code == 503
        ),
        5,
        "the late process takes new sessions",
    )
    eventually(lambda: len(blue.status()["processes"]) == 2, 5, "blue does not know of it")
    blue.cancel()
    eventually(
        lambda: (
            httpx.get(f"{late.server.url}/socket.io/?EIO=4&transport=polling").status_code == 200
        ),
        5,
        "the late process does not serve again",
    )


def test_both_colours_do_not_drain_at_once_unless_forced(start_host: Hosts, redis_url: str) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url, worker="gthread")
    green = colour(start_host, "green", redis_url=redis_url, worker="gthread")
    assert blue.drain(grace_seconds=1).status_code == 202
    refused = green.drain(grace_seconds=1)
    assert refused.status_code == 409
    assert "blue" in refused.json()["detail"]
    assert green.status()["state"] == "serving"
    assert green.drain(grace_seconds=1, force=True).status_code == 202
    green.wait_until_drained(8)

    def blue_as_green_sees_it() -> str:
        query = {"environment": "blue"}
        figures = green.http.get("/api/metrics/connections", params=query).json()
        assert figures["environment"] == "blue"
        return str(figures["drain"])

    eventually(lambda: blue_as_green_sees_it() == "drained", 5, "green does not know of blue")


def test_colours_with_different_socketio_versions_share_one_message_queue(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    """Each drains by itself: nothing that a drain says travels over the queue."""
    other, queue = _other_environment(), {"MESSAGE_QUEUE": redis_url}

    def start_on(port: int) -> Server:
        gunicorn = [other, "-m", "gunicorn", APP, "--pythonpath", str(REPOSITORY)]
        return start(
            "other",
            [*gunicorn, "-k", "gthread", "--threads", "100", "--bind", f"{HOST}:{port}"],
            tmp_path / "other",
            port=port,
            environment={
                **queue,
                "ENVIRONMENT": "green",
                "REDIS_URL": redis_url,
                "ASYNC_MODE": "threading",
            },
            ready=lambda server: answers(server, READY_PATH),
        )

    blue = colour(
        start_host,
        "blue",
        redis_url=redis_url,
        worker="gthread",
        environment={**PATIENT, **queue},
    )
    with (
        on_free_port(start_on) as server,
        httpx.Client(base_url=server.url) as http,
        proxy(tmp_path / "nginx", blue, Colour("green", server, http)) as front,
        Clients.start(node, front.url, clients=8, **PATIENT_STREAMS) as clients,
    ):
        clients.wait_for(connected=8, colours={"blue": 8})
        blue.drain(grace_seconds=3)
        assert blue.wait_until_drained(12)["forced"] == 0
        report = clients.wait_for(20, connected=8, colours={"green": 8})
        assert report["notices"] == 8
        result = losses(redis_url, clients.finish()["streams"])
        assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)


def _other_environment() -> Path:
    """The Python of the environment with the other set of versions, beside the running one."""
    here = Path(sys.prefix)
    name = ".venv" if here.name == ".venv-compat" else ".venv-compat"
    python = here.parent / name / "bin" / "python"
    if not python.exists():
        if here.name == ".venv-compat":
            missing(f"{python} does not exist")
        pytest.skip(f"{python} does not exist; scripts/dev/setup --compat makes it")
    return python
