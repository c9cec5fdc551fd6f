"""A Python client that asks for recovery keeps its rooms and session over a move, and hears all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mina_ops.app.clients import MovingClient
from tests.app.recovery.test_recovery_over_colours import fleet_of, saying
from tests.support.hosts import Hosts
from tests.support.wait import eventually


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_rooms_session_and_events_of_a_python_client_move_with_it(
    start_host: Hosts, redis_url: str, tmp_path: Path, running: ExitStack
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url)
    numbers = list[int]()
    # The second one is not recovered, and gets the same `auth`.
    client = MovingClient(
        fleet.proxy.url, namespaces=["/", "/other"], auth={"recovery": True}, transports=["polling"]
    )
    running.callback(client.disconnect)
    client.on("number", lambda told: numbers.append(told if isinstance(told, int) else told["n"]))
    client.connect(wait_timeout=30)
    assert client.call("join", ("room", "Ada")) == "blue"
    with saying(fleet.green.server.url) as said:
        eventually(lambda: len(numbers) > 3, 20, "nothing is heard")
        fleet.blue.drain(grace_seconds=1)
        eventually(lambda: client.moves == 1, 20, "it does not move")
        fleet.blue.wait_until_drained(15)
        heard = len(numbers)
        eventually(lambda: len(numbers) > heard + 3, 20, "nothing is heard after the move")
    eventually(lambda: len(numbers) == said(), 20, "events are missing")
    # Handlers run in threads of their own, which may overtake each other.
    assert sorted(numbers) == list(range(1, said() + 1))
    assert client.call("who") == {"name": "Ada", "colour": "green"}
