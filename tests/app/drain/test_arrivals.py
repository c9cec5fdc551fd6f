"""Of those whom a drain sent away: how many have come to the other colour, and who has not."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from mina_ops.app.drain.arrivals import summed
from tests.app.drain.fleet import Clients, Fleet
from tests.support.hosts import Hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually


def test_clients_are_told_by_address_and_name() -> None:
    found = summed(
        {
            "away 10.0.0.7 Firefox 120": 3,
            "here 10.0.0.7 Firefox 120": 1,
            "away 10.0.0.8 ": 2,
            # A visitor who was never on the other colour, and two that are new.
            "here 10.0.0.8 ": 4,
            "here 10.0.0.9 Safari": 1,
        }
    )
    late = [{"address": "10.0.0.7", "agent": "Firefox 120", "sessions": 2}]
    assert found == {"sent_away": 5, "arrived": 3, "not_arrived": late}
    assert summed({}) == {"sent_away": 0, "arrived": 0, "not_arrived": []}


def test_a_drain_says_how_many_have_arrived_and_names_who_has_not(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path
) -> None:
    with (
        StockClients() as stock,
        Fleet(start_host, tmp_path / "nginx", redis_url, worker="gevent") as fleet,
        Clients.start(node, fleet.proxy.url, clients=4) as awake,
        Clients.start(node, fleet.proxy.url, clients=2) as asleep,
    ):
        stock.connect(fleet.proxy.url, "polling")
        awake.wait_for(connected=4, colours={"blue": 4})
        asleep.wait_for(connected=2, colours={"blue": 2})
        asleep.process.send_signal(signal.SIGSTOP)
        assert fleet.blue.status()["sent_away"] is None
        fleet.blue.drain(grace_seconds=2)
        fleet.blue.wait_until_drained(15)

        def told(arrived: int) -> dict[str, Any] | None:
            status = fleet.blue.status()
            told = (status["sent_away"], status["arrived"]) == (7, arrived)
            return status if told else None

        try:
            status = eventually(lambda: told(5), 15, "not those that are awake have arrived")
            assert status is not None
            (late,) = status["not_arrived"]
            assert (late["address"], late["sessions"]) == ("127.0.0.1", 2)
        finally:
            asleep.process.send_signal(signal.SIGCONT)
        status = eventually(lambda: told(7), 20, "who woke up has not arrived")
        assert status is not None
        assert status["not_arrived"] == []
