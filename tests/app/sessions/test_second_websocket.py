"""Whoever has learned a session's id cuts nobody with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import websocket

from mina_ops.demo.processes import Server
from tests.support.hosts import Hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually

HOST = "tests.app.drain.host:app"


@pytest.fixture
def stock() -> Iterator[StockClients]:
    with StockClients() as clients:
        yield clients


def _upgrade(host: Server, sid: str) -> int:
    """The status of an answer to another websocket for this session."""
    url = f"ws://127.0.0.1:{host.port}/socket.io/?EIO=4&transport=websocket&sid={sid}"
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(url, timeout=30)
    return int(refused.value.status_code)


@pytest.mark.parametrize(
    "worker",
    ["gthread", *(pytest.param(w, marks=pytest.mark.long) for w in ("gevent", "eventlet"))],
)
def test_a_second_websocket_with_a_known_id_is_refused_and_the_first_lives_on(
    worker: str, start_host: Hosts, redis_url: str, stock: StockClients
) -> None:
    environment = {"ENVIRONMENT": "blue", "REDIS_URL": redis_url}
    host = start_host(HOST, worker=worker, environment=environment)
    for transports in (["websocket"], ["polling", "websocket"]):
        client = stock.connect(host.url, *transports)
        eventually(lambda c=client: c.transport() == "websocket", 10, "it is not upgraded")
        sid = client.eio.sid
        assert [_upgrade(host, sid) for _ in range(2)] == [400, 400]
        assert client.call("work", 0, timeout=60) == "done"
        assert (client.connected, client.eio.sid) == (True, sid)
    assert "Traceback" not in host.log.read_text()
