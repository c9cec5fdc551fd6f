"""Whoever has learned a session's id cuts nobody with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import websocket

from mina_ops.demo.processes import Server
from tests.security.raw import get, send
from tests.support.hosts import Hosts, running_hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually

HOST = "tests.app.drain.host:app"


@pytest.fixture
def stock() -> Iterator[StockClients]:
    with StockClients() as clients:
        yield clients


@pytest.fixture(scope="module")
def plain_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with contextmanager(running_hosts)(tmp_path_factory.mktemp("host")) as start:
        yield start("tests.security.host:app", environment={"ENVIRONMENT": "blue"})


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


@pytest.mark.parametrize(
    "query", ["transport=websocket", "EIO=4&transport=websocket", "EIO=4&transport=websocket&sid="]
)
@pytest.mark.parametrize("more", [(), ("Sec-WebSocket-Version: 13",), ("Sec-WebSocket-Key: x",)])
def test_an_upgrade_that_is_none_is_400_and_leaves_no_traceback(
    query: str, more: tuple[str, ...], plain_host: Server
) -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", *more)
    if query.endswith("sid="):
        body = get(plain_host.port, "/socket.io/?EIO=4&transport=polling").body
        query += body.partition(b'"sid":"')[2].partition(b'"')[0].decode()
    target = f"/socket.io/?{query}"
    head = "\r\n".join((f"GET {target} HTTP/1.1", "Host: mina.example", *upgrade))
    assert send(plain_host.port, f"{head}\r\n\r\n".encode(), seconds=10).status == 400
    assert "Traceback" not in plain_host.log.read_text()
