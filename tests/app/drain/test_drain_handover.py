"""A drain moves every client to the other colour, in every way to run a host."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.app.drain.fleet import PATIENT, PATIENT_STREAMS, Clients, Fleet, losses
from tests.support.hosts import Hosts
from tests.support.wait import eventually

EVERY_WORKER = ["gthread", "gevent", "eventlet", "socketio.run"]
ALL_TRANSPORTS = [["websocket"], ["polling"], []]


@pytest.mark.parametrize("worker", EVERY_WORKER)
def test_a_drain_loses_nothing_handles_nothing_twice_and_keeps_the_order(
    worker: str, start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    with (
        Fleet(
            start_host, tmp_path / "nginx", redis_url, worker=worker, environment=PATIENT
        ) as fleet,
        Clients.start(
            node,
            fleet.proxy.url,
            clients=24,
            transports=ALL_TRANSPORTS,
            interval_ms=100,
            **PATIENT_STREAMS,
        ) as clients,
    ):
        clients.wait_for(connected=24, colours={"blue": 24})
        assert fleet.blue.active() == 24
        upgraded = {"websocket": 16, "polling": 8}
        eventually(lambda: fleet.blue.by_transport() == upgraded, 5, "not all have upgraded")
        assert fleet.blue.drain(grace_seconds=6).status_code == 202
        status = fleet.blue.wait_until_drained(20)
        assert (status["forced_sessions"], status["unflushed"]) == ([], [])
        assert (status["forced"], status["initial"]) == (0, 24)
        report = clients.wait_for(connected=24, colours={"green": 24})
        assert report["reasons"] == {"transport close": 16, "transport error": 8}
        assert report["notices"] == 24
        eventually(lambda: clients.last["sent"] > 24 * 20, 5, "the streams do not go on")
        final = clients.finish()
        assert final["acknowledged"] == final["sent"]
        result = losses(redis_url, final["streams"])
        assert (result.lost, result.twice, result.out_of_order) == (0, 0, 0)
        assert result.colours == {"blue", "green"}
        assert fleet.blue.active() == 0
        handshake = httpx.get(f"{fleet.blue.server.url}/socket.io/?EIO=4&transport=polling")
        assert handshake.status_code == 503
        assert handshake.headers["Retry-After"] == "1"
        assert httpx.get(f"{fleet.blue.server.url}/api/health/ready").status_code == 503
        assert httpx.get(f"{fleet.blue.server.url}/api/health/live").status_code == 200
        assert httpx.get(f"{fleet.blue.server.url}/pid").status_code == 200
