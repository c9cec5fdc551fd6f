"""A process that is told to end hands its sessions over first."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from tests.app.drain.fleet import Clients, Fleet, losses
from tests.support.hosts import Hosts
from tests.support.wait import eventually

EVERY_WORKER = ["gthread", "gevent", "eventlet", "socketio.run"]
# Patient, and yet within the 30 s that gunicorn has.
SLOWLY = {
    "MINA_OPS_SIGTERM_GRACE": "3",
    "MINA_OPS_DRAIN_ACK": "5",
    "MINA_OPS_DRAIN_CUT": "8",
}


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_sigterm_moves_every_session_before_the_process_ends(
    worker: str, start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    environment = {**SLOWLY, "OWN_SIGTERM": "before"}
    with (
        Fleet(
            start_host, tmp_path / "nginx", redis_url, worker=worker, environment=environment
        ) as fleet,
        Clients.start(
            node, fleet.proxy.url, clients=12, transports=[["websocket"], []], mode="stream"
        ) as clients,
    ):
        clients.wait_for(connected=12, colours={"blue": 12})
        upgraded = {"websocket": 12}
        eventually(lambda: fleet.blue.by_transport() == upgraded, 5, "not all have upgraded")
        fleet.blue.server.process.send_signal(signal.SIGTERM)
        report = clients.wait_for(25, connected=12, colours={"green": 12})
        assert report["reasons"] == {"transport close": 12}
        eventually(lambda: not fleet.blue.server.alive, 15, "blue did not end")
        final = clients.finish()
        result = losses(redis_url, final["streams"])
        assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
        assert "the host's own SIGTERM handler ran" in fleet.blue.server.log.read_text()


# Preloading needs no test under gevent: gunicorn patches too late then, for any app.
@pytest.mark.parametrize(
    ("worker", "setup"),
    [
        ("gthread", "installs its own handler later"),
        ("eventlet", "installs its own handler later"),
        ("gthread", "is loaded before the fork"),
    ],
)
def test_sigterm_drains_also_when_the_host(
    setup: str, worker: str, start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    later = setup.startswith("installs")
    environment = {**SLOWLY, "OWN_SIGTERM": "after"} if later else SLOWLY
    options = [] if later else ["--preload"]
    with (
        Fleet(
            start_host,
            tmp_path / "nginx",
            redis_url,
            worker=worker,
            environment=environment,
            options=options,
        ) as fleet,
        Clients.start(node, fleet.proxy.url, clients=6) as clients,
    ):
        clients.wait_for(connected=6, colours={"blue": 6})
        fleet.blue.server.process.send_signal(signal.SIGTERM)
        report = clients.wait_for(25, connected=6, colours={"green": 6})
        assert report["reasons"] == {"transport close": 6}
        assert report["notices"] == 6
        eventually(lambda: not fleet.blue.server.alive, 15, "blue did not end")


@pytest.mark.parametrize("worker", ["gevent", "eventlet"])
def test_a_worker_that_has_served_max_requests_drains_before_it_is_replaced(
    worker: str, start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    if worker == "gevent" and find_spec("geventwebsocket"):
        pytest.skip("its worker does not count requests, so gunicorn never replaces it")
    with (
        Fleet(
            start_host,
            tmp_path / "nginx",
            redis_url,
            worker=worker,
            environment=SLOWLY,
            options=["--max-requests", "60"],
        ) as fleet,
        Clients.start(node, fleet.proxy.url, clients=6) as clients,
    ):
        clients.wait_for(connected=6, colours={"blue": 6})
        first = httpx.get(f"{fleet.blue.server.url}/pid").text

        def replaced() -> bool:
            return httpx.get(f"{fleet.blue.server.url}/pid").text != first

        eventually(replaced, 30, "no new worker", ignoring=(httpx.HTTPError,), interval=0.05)
        clients.wait_for(connected=6, reasons={"transport close": 6}, notices=6)


def test_a_process_without_sessions_ends_at_once(start_host: Hosts, redis_url: str) -> None:
    host = start_host(
        "tests.app.drain.host:app", worker="gthread", environment={"REDIS_URL": redis_url}
    )
    host.process.send_signal(signal.SIGTERM)
    eventually(lambda: not host.alive, 5, "it did not end")
