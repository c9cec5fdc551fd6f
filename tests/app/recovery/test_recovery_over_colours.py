"""What a server says while a client moves, or its server dies, reaches it: once and in order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from flask_socketio import SocketIO

from mina_ops.app.state import keys
from mina_ops.demo.processes import Server
from tests.app.drain.fleet import Clients, Fleet
from tests.support.hosts import Hosts
from tests.support.wait import eventually

APP = "tests.app.recovery.host:app"
CLIENTS = Path(__file__).with_name("clients.mjs")
EVERY_TRANSPORT = [["websocket"], ["polling"], []]


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Listeners:
    """Clients that keep what they hear."""

    def __init__(self, process: Clients) -> None:
        self.process = process

    @property
    def all(self) -> list[dict[str, Any]]:
        """What each of them has."""
        return list(self.process.last.get("clients", ()))

    def tell(self, *what: Any) -> None:
        """Have all of them do something."""
        assert self.process.process.stdin is not None
        self.process.process.stdin.write(json.dumps(what) + "\n")
        self.process.process.stdin.flush()

    def wait(self, what: Callable[[dict[str, Any]], Any], timeout: float, why: str) -> None:
        """Until this holds for each of them."""
        eventually(lambda: self.all and all(what(one) for one in self.all), timeout, why)


def listening(running: ExitStack, node: Path, url: str, **options: Any) -> Listeners:
    argv = [str(node), str(CLIENTS), json.dumps({"url": url, **options})]
    listeners = Listeners(running.enter_context(Clients._run(argv)))
    listeners.wait(lambda one: one.get("joined"), 20, "not all have joined")
    return listeners


@contextmanager
def saying(url: str, every: float = 0.05) -> Iterator[Callable[[], int]]:
    """Numbered events from requests to one server until the block ends; how many so far."""
    said, over = [0], threading.Event()

    def say() -> None:
        with httpx.Client(base_url=url, timeout=20) as http:
            while not over.wait(every):
                assert http.post(f"/say/{said[0] + 1}").status_code == 200
                said[0] += 1

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield lambda: said[0]
    finally:
        over.set()
        thread.join(30)


def fleet_of(running: ExitStack, hosts: Hosts, folder: Path, redis_url: str, **more: Any) -> Fleet:
    options = {"worker": "gevent", **more}
    environment = {"MESSAGE_QUEUE": options.pop("queue", redis_url)}
    environment |= options.pop("environment", {})
    return running.enter_context(
        Fleet(hosts, folder, redis_url, app=APP, environment=environment, **options)
    )


@contextmanager
def everybody_away(fleet: Fleet) -> Iterator[None]:
    """While the body runs blue has let all go, and green takes nobody in."""
    fleet.green.server.pause()
    try:
        fleet.blue.drain(grace_seconds=0)
        eventually(lambda: fleet.blue.active() == 0, 10, "somebody stays")
        yield
    finally:
        fleet.green.server.resume()


@pytest.mark.parametrize(
    ("worker", "move"),
    [("gevent", False), ("gevent", True), ("gthread", False), ("eventlet", True)],
)
def test_a_drain_misses_no_event_doubles_none_and_keeps_rooms_and_session(
    worker: str,
    move: bool,
    start_host: Hosts,
    redis_url: str,
    node: Path,
    tmp_path: Path,
    running: ExitStack,
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url, worker=worker)
    listeners = listening(
        running, node, fleet.proxy.url, clients=6, transports=EVERY_TRANSPORT, move=move, tick=8
    )
    with saying(fleet.green.server.url) as said:
        eventually(lambda: said() > 10, 20, "nothing is said")
        fleet.blue.drain(grace_seconds=3)
        listeners.wait(lambda one: one["engine"] == "green", 30, "not all are on green")
        listeners.wait(lambda one: one["ticked"] is not None, 20, "the ticks do not end")
    last = said()
    listeners.wait(lambda one: one["numbers"][-1:] == [last], 20, "the last event is missing")
    for one in listeners.all:
        first = one["numbers"][0]
        assert one["numbers"] == list(range(first, last + 1))
        assert first <= 10
        assert one["ticks"] == list(range(1, one["ticked"] + 1))
        assert one["recovered"] == [False, True], one["reasons"]
        assert (len(set(one["ids"])), one["garbled"]) == (1, 0)
    listeners.tell("who")
    listeners.wait(lambda one: one["who"], 10, "nobody answers")
    answers = [one["who"] for one in listeners.all]
    assert answers == [{"name": f"client {n}", "colour": "green"} for n in range(6)]


def test_a_page_whose_old_connection_breaks_while_it_moves_is_told_that_it_is_recovered(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path, running: ExitStack
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url)
    listeners = listening(
        running, node, fleet.proxy.url, clients=6, transports=EVERY_TRANSPORT, move=True,
        cut_at_hand_off=True,
    )  # fmt: skip
    with saying(fleet.green.server.url) as said:
        eventually(lambda: said() > 10, 20, "nothing is said")
        fleet.blue.drain(grace_seconds=3)
        listeners.wait(lambda one: one["engine"] == "green", 30, "not all are on green")
    last = said()
    listeners.wait(lambda one: one["numbers"][-1:] == [last], 20, "the last event is missing")
    for one in listeners.all:
        assert one["numbers"] == list(range(one["numbers"][0], last + 1))
        assert one["recovered"] == [False, True], one["reasons"]


def test_a_killed_server_s_clients_miss_nothing_that_had_left_its_memory(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path, running: ExitStack
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url)
    listeners = listening(running, node, fleet.proxy.url, clients=6, transports=EVERY_TRANSPORT)
    with saying(fleet.green.server.url) as said:
        eventually(lambda: said() > 10, 20, "nothing is said")
        fleet.blue.server.kill()
        listeners.wait(lambda one: one["engine"] == "green", 30, "not all are on green")
        time.sleep(0.5)
    last = said()
    listeners.wait(lambda one: one["numbers"][-1:] == [last], 20, "the last event is missing")
    for one in listeners.all:
        assert one["numbers"] == list(range(one["numbers"][0], last + 1))
        assert one["recovered"] == [False, True]


def test_without_a_queue_what_the_old_server_said_to_those_on_their_way_arrives(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path, running: ExitStack
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url, queue="")
    listeners = listening(running, node, fleet.proxy.url, clients=3)
    url = fleet.blue.server.url
    assert httpx.post(f"{url}/say/1").text == "blue"
    listeners.wait(lambda one: one["numbers"] == [1], 10, "the first event is missing")
    # They are on their way until all is said: what is said after an arrival needs a queue.
    with everybody_away(fleet):
        for number in (2, 3, 4):
            httpx.post(f"{url}/say/{number}")
    listeners.wait(lambda one: one["engine"] == "green", 20, "not all are on green")
    listeners.wait(lambda one: one["numbers"] == [1, 2, 3, 4], 10, "events are missing")


def test_every_way_to_emit_is_recovered(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path, running: ExitStack
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url)
    environment = {"ENVIRONMENT": "green", "REDIS_URL": redis_url, "MESSAGE_QUEUE": redis_url}
    third = start_host(APP, worker="gthread", environment=environment)
    # It serves nobody, so the mode is not the subject; eventlet's, where that is installed, warns.
    external = SocketIO(message_queue=redis_url, async_mode="threading")
    listeners = listening(running, node, fleet.proxy.url, clients=2, transports=EVERY_TRANSPORT)
    first = listeners.all[0]["ids"][0]
    with everybody_away(fleet):
        for path in ("1", f"2/without/{first}", "3/asking", "5"):
            assert httpx.post(f"{third.url}/say/{path}", timeout=30).status_code == 200
        external.emit("number", 6, to="room")
    listeners.wait(lambda one: one["engine"] == "green", 30, "not all are on green")
    listeners.wait(lambda one: one["numbers"][-1:] == [6], 20, "the last event is missing")
    assert [one["numbers"] for one in listeners.all] == [[1, 3, 5, 6], [1, 2, 3, 5, 6]]
    assert [one["recovered"] for one in listeners.all] == [[False, True]] * 2
    assert [one["garbled"] for one in listeners.all] == [0, 0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting", "value"), [("MINA_OPS_RECOVERY_EVENTS", "20"), ("MINA_OPS_RECOVERY_SECONDS", "2")]
)
def test_beyond_a_limit_nothing_is_recovered_and_the_client_is_told(
    setting: str,
    value: str,
    start_host: Hosts,
    redis_url: str,
    node: Path,
    tmp_path: Path,
    running: ExitStack,
) -> None:
    fleet = fleet_of(
        running, start_host, tmp_path / "front", redis_url, queue="", environment={setting: value}
    )
    listeners = listening(running, node, fleet.proxy.url, clients=2)
    with everybody_away(fleet), redis.Redis.from_url(redis_url) as client:
        for number in range(1, 26 if setting.endswith("EVENTS") else 2):
            assert httpx.post(f"{fleet.blue.server.url}/say/{number}").status_code == 200
        if setting.endswith("SECONDS"):
            eventually(lambda: not client.keys(keys.recovery_state("*")), 10, "it is kept")
    listeners.wait(lambda one: one["engine"] == "green", 30, "not all are on green")
    assert [one["recovered"] for one in listeners.all] == [[False, False]] * 2
    assert [one["numbers"] for one in listeners.all] == [[], []]


@pytest.mark.long
def test_an_emit_does_not_wait_for_a_redis_that_hangs(
    start_host: Hosts, own_redis: Server, node: Path, tmp_path: Path, running: ExitStack
) -> None:
    # The longest that is allowed: were each emit to wait for it, they would take 50 s.
    patient = {"MINA_OPS_REDIS_TIMEOUT": "5"}
    fleet = fleet_of(
        running, start_host, tmp_path / "front", own_redis.url, queue="", environment=patient
    )
    listeners = listening(running, node, fleet.proxy.url, clients=2)
    own_redis.pause()
    until = time.monotonic() + 40
    try:
        for number in range(1, 11):
            answer = httpx.post(f"{fleet.blue.server.url}/say/{number}", timeout=60)
            assert answer.status_code == 200
        said = list(range(1, 11))
        rest = until - time.monotonic()
        listeners.wait(lambda one: one["numbers"] == said, rest, "an event waits for Redis")
    finally:
        own_redis.resume()


def test_who_was_away_too_long_is_told_and_begins_anew(
    start_host: Hosts, redis_url: str, node: Path, tmp_path: Path, running: ExitStack
) -> None:
    fleet = fleet_of(running, start_host, tmp_path / "front", redis_url)
    listeners = listening(running, node, fleet.proxy.url, clients=2)
    httpx.post(f"{fleet.green.server.url}/say/1")
    listeners.wait(lambda one: one["numbers"] == [1], 10, "the first event is missing")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    listeners.tell("cut")
    listeners.wait(lambda one: len(one["recovered"]) == 2, 20, "not all are back")
    assert [one["recovered"] for one in listeners.all] == [[False, False]] * 2
