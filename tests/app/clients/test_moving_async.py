"""The asyncio client: what `test_moving` proves of the one in threads."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from socketio import exceptions

from mina_ops.app.clients import moving_async
from mina_ops.app.clients.moving_async import AsyncMovingClient
from tests.app.clients.test_moving import IN_ORDER, NAMESPACES, arrives_once, handled, stream_of
from tests.app.drain.fleet import Colour, Fleet, colour
from tests.support.hosts import Hosts

# Of python-engineio 4.9, which knows an older aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float'")


@asynccontextmanager
async def connected(url: str, transport: str) -> AsyncIterator[AsyncMovingClient]:
    client = AsyncMovingClient(url, namespaces=NAMESPACES, transports=[transport])
    await client.connect(wait_timeout=30)
    try:
        yield client
    finally:
        await client.disconnect()


@asynccontextmanager
async def emitting(
    clients: Sequence[AsyncMovingClient], name: str
) -> AsyncIterator[Callable[[], int]]:
    """Plain emits of each client to both namespaces, fifty times a second; how many so far."""
    sent = 0

    async def emit() -> None:
        nonlocal sent
        while True:
            sent += 1
            for client, namespace in itertools.product(clients, NAMESPACES):
                message = {"stream": stream_of(name, client, namespace), "seq": sent}
                await client.emit("plain", message, namespace)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(emit())
    try:
        yield lambda: sent
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(what: Callable[[], bool], seconds: float, why: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(why) from None


async def is_held_and_sent(blue: Colour, redis_url: str) -> None:
    url = blue.server.url
    greeted = list[int]()
    async with connected(url, "websocket") as first, connected(url, "polling") as second:
        clients = [first, second]

        async def greet(client: AsyncMovingClient) -> None:
            greeted.append(client.held)
            await client.emit("plain", {"stream": "greeting", "seq": len(greeted)})

        for client in clients:
            client.on("connect", partial(greet, client))
        async with emitting(clients, "async") as sent:
            await until(lambda: sent() > 10, 10, "nothing is sent")
            await asyncio.to_thread(blue.drain, grace_seconds=1)
            held_by_all = lambda: all(c.held > 40 and not c.connected for c in clients)  # noqa: E731
            await until(held_by_all, 20, "nothing is held")
            await asyncio.to_thread(blue.wait_until_drained, 15)
            with pytest.raises(exceptions.TimeoutError):
                await first.call("plain", {"stream": "withdrawn", "seq": 1}, timeout=0.1)
            message = {"stream": "called", "seq": 7}
            calls = [asyncio.create_task(c.call("plain", message, "/second")) for c in clients]
            await asyncio.to_thread(blue.cancel)
            back = lambda: all(c.connected and c.held == 0 for c in clients)  # noqa: E731
            await until(back, 30, "not all come back")
            assert await asyncio.wait_for(asyncio.gather(*calls), 20) == [{"seq": 7}] * 2
        streams = [stream_of("async", c, n) for c in clients for n in NAMESPACES]
        await asyncio.to_thread(arrives_once, redis_url, streams, sent(), in_order=True)
        assert [client.moves for client in clients] == [0, 0]
        assert min(greeted) > 40, "what was held went before what connect handlers send"


def test_what_is_emitted_while_no_server_takes_the_client_arrives_once_it_is_back(
    start_host: Hosts, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving_async, "MOVE_SECONDS", 0.5)
    blue = colour(start_host, "blue", redis_url=redis_url, environment=IN_ORDER)
    asyncio.run(is_held_and_sent(blue, redis_url))
    assert handled(redis_url, "withdrawn") == []
    assert sorted(handled(redis_url, "greeting")) == [1, 2]


async def is_sent_during_a_move(fleet: Fleet, redis_url: str) -> None:
    url = fleet.proxy.url
    async with connected(url, "websocket") as first, connected(url, "polling") as second:
        clients = [first, second]
        async with emitting(clients, "amove") as sent:
            await until(lambda: sent() > 10, 10, "nothing is sent")
            await asyncio.to_thread(fleet.blue.drain, grace_seconds=1)
            await until(lambda: all(c.moves == 1 for c in clients), 20, "not all move")
            await asyncio.to_thread(fleet.blue.wait_until_drained, 15)
        streams = [stream_of("amove", c, n) for c in clients for n in NAMESPACES]
        await asyncio.to_thread(arrives_once, redis_url, streams, sent(), in_order=False)
        assert [client.held for client in clients] == [0, 0]


def test_what_is_emitted_during_a_move_arrives_once(
    start_host: Hosts, redis_url: str, tmp_path: Path
) -> None:
    with Fleet(start_host, tmp_path / "nginx", redis_url, environment=IN_ORDER) as fleet:
        asyncio.run(is_sent_during_a_move(fleet, redis_url))
