"""What a polling client sends is taken in, however much of it comes in one body."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
import requests

from tests.app.drain.fleet import LEDGER, colour
from tests.support.hosts import Hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually

EVENTS = 200


@pytest.fixture
def stock() -> Iterator[StockClients]:
    with StockClients() as clients:
        yield clients


def test_all_that_a_stock_polling_client_emits_at_once_is_handled(
    start_host: Hosts, redis_url: str, stock: StockClients
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url)
    client = stock.connect(blue.server.url, "polling")
    for number in range(1, EVENTS + 1):
        client.emit("plain", {"stream": "burst", "seq": number})
    with redis.Redis.from_url(redis_url) as ledger:
        handled = lambda: ledger.llen(LEDGER + "burst")  # noqa: E731
        eventually(lambda: handled() == EVENTS, 20, "events are lost")


def test_a_refusal_has_no_body_for_the_client_that_cannot_read_it(
    start_host: Hosts, redis_url: str
) -> None:
    blue = colour(start_host, "blue", redis_url=redis_url)
    blue.drain(grace_seconds=1)
    blue.wait_until_drained(10)
    address = f"{blue.server.url}/socket.io/?transport=polling&EIO=4"
    lengths = []
    for agent in ("Python/3.11 aiohttp/3.14.5", "Mozilla/5.0"):
        answer = requests.get(address, headers={"User-Agent": agent}, timeout=10)
        assert (answer.status_code, answer.headers["X-Mina-Refused"]) == (503, "draining")
        lengths.append(len(answer.content))
    assert lengths[0] == 0
    assert lengths[1] > 0
