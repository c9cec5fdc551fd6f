"""Real servers, stock clients: a colour without share meets nobody, whatever befalls the other."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice, product
from pathlib import Path

import httpx
import psutil
import pytest
import socketio

from mina_ops.demo.processes import Server
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps, in_front
from tests.support.hosts import Hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually

CLIENTS = 6
# Few enough to be filled quickly, more than the clients need.
THREADS = 24
REQUESTS = 1500
pytestmark = pytest.mark.integration
HOST = "tests.app.drain.host:app"


@pytest.fixture
def apps(start_host: Hosts, redis_url: str) -> RealApps:
    def begin(colour: str) -> Server:
        environment = {"ENVIRONMENT": colour, "MINA_OPS_INSTANCE": "0", "REDIS_URL": redis_url}
        options = ("--max-requests", str(REQUESTS))
        return start_host(HOST, threads=THREADS, environment=environment, options=options)

    return RealApps({colour: begin(colour) for colour in ("blue", "green")}).until_ready()


@pytest.fixture(params=["nginx", "haproxy", pytest.param("envoy", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest, tmp_path: Path, apps: RealApps) -> Iterator[Balancer]:
    with in_front(request.param, tmp_path, apps) as found:
        yield found


@dataclass
class Visitor:
    """A stock client with its default options, and the colours that its sessions were on."""

    client: socketio.Client
    been: list[str] = field(default_factory=list)
    losses: int = 0

    @property
    def colour(self) -> str:
        return str(self.client.eio.sid).partition(".")[0]

    def lost(self, *_reason: object) -> None:
        self.losses += 1

    def lose(self) -> None:
        """Its connection is cut on the way; it comes back as stock clients do."""
        with suppress(OSError, AttributeError):
            self.client.eio.ws.sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def conversations(site: Balancer) -> Iterator[list[Visitor]]:
    """Stock clients with their default options; each is a visitor of its own."""
    with StockClients() as clients:
        visitors = []
        for number in range(CLIENTS):
            visitor = Visitor(clients.client())
            client = visitor.client
            client.on("connect", lambda one=visitor: one.been.append(one.colour))
            client.on("disconnect", visitor.lost)
            headers = {"User-Agent": f"browser {number}"}
            client.connect(f"http://127.0.0.1:{site.port}", headers=headers, wait_timeout=30)
            visitors.append(visitor)
        yield visitors


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def accepted(server: Server) -> int:
    """Sessions that a colour has let in, counted by itself."""
    return int(httpx.get(f"{server.url}/api/metrics/websockets", timeout=30).json()["accepted"])


def renewed(server: Server, before: set[int]) -> bool:
    """Whether none of these workers is there any more, and another is."""
    now = {worker.pid for worker in workers(server)}
    return bool(now) and not before & now


def hang_up(server: Server, _: list[Visitor]) -> None:
    """What `systemctl reload` does: new workers, the old ones end."""
    before = {worker.pid for worker in workers(server)}
    os.kill(server.pid, signal.SIGHUP)
    eventually(lambda: renewed(server, before), 40)


def kill_worker(server: Server, _: list[Visitor]) -> None:
    before = {worker.pid for worker in workers(server)}
    for worker in workers(server):
        worker.kill()
    eventually(lambda: renewed(server, before), 20)


def recycle(server: Server, _: list[Visitor]) -> None:
    """A worker has had its `--max-requests`."""
    before = {worker.pid for worker in workers(server)}

    def asked() -> bool:
        with suppress(httpx.HTTPError), httpx.Client(base_url=server.url, timeout=30) as client:
            for _ in range(100):
                client.get("/pid")
        return renewed(server, before)

    eventually(asked, 60)


def fill(server: Server, visitors: list[Visitor]) -> None:
    """Its clients lose their connections while no session more fits in; then there is room."""
    handshake = f"{server.url}/socket.io/?EIO=4&transport=polling"
    sids: list[str] = []

    def is_full() -> bool:
        while (answer := httpx.get(handshake, timeout=30)).status_code == httpx.codes.OK:
            sids.append(json.loads(answer.text[1:])["sid"])
            # Only who joins a namespace holds a place.
            httpx.post(f"{handshake}&sid={sids[-1]}", content="40", timeout=30)
        return bool(answer.headers["X-Mina-Refused"] == "full")

    assert is_full()
    colour = httpx.get(f"{server.url}/api/health/live", timeout=30).headers["X-Mina-Environment"]
    lost = [one for one in visitors if one.colour == colour]
    for one in lost:
        one.lose()
    # The seats that they leave are taken at once.
    eventually(lambda: is_full() and all(one.losses for one in lost), 20)
    for sid in sids:
        httpx.post(f"{handshake}&sid={sid}", content="1", timeout=30)


HAPPENINGS: tuple[Callable[[Server, list[Visitor]], None], ...] = (
    *(kill_worker, fill, recycle, hang_up),
)


# A killed worker is in the next test, and all of them in the last one.
@pytest.mark.parametrize(
    "happening", [hang_up, fill, pytest.param(recycle, marks=pytest.mark.long)]
)
def test_whatever_happens_to_a_colour_with_all_the_traffic(
    site: Balancer,
    apps: RealApps,
    happening: Callable[[Server, list[Visitor]], None],
) -> None:
    with conversations(site) as visitors:
        happening(apps.servers["blue"], visitors)
        eventually(lambda: all(one.client.connected for one in visitors), 60)
        assert {colour for one in visitors for colour in one.been} == {"blue"}
        assert accepted(apps.servers["green"]) == 0


def test_who_lost_its_share_meets_nobody_again(site: Balancer, apps: RealApps) -> None:
    site.driver.apply(Split({"blue": 10, "green": 90}))
    with conversations(site) as visitors:
        assert "green" in {one.colour for one in visitors}
        site.driver.apply(Split({"blue": 100, "green": 0}))
        before = accepted(apps.servers["green"])
        for colour in ("green", "blue"):
            kill_worker(apps.servers[colour], visitors)
        eventually(
            lambda: all(one.client.connected and one.colour == "blue" for one in visitors), 60
        )
        assert accepted(apps.servers["green"]) in (0, before)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_rounds_of_whatever_happens_to_each_colour(site: Balancer, apps: RealApps) -> None:
    """At 100/0 nobody ever is on green; at 90/10 everybody is on one of the two."""
    kinds = product((100, 90), HAPPENINGS, ("blue", "green"))
    for number, (share, happening, colour) in enumerate(islice(cycle(list(kinds)), 50)):
        site.driver.apply(Split({"blue": share, "green": 100 - share}))
        # Each round begins with new sessions: those of the last split may stay where they were.
        with conversations(site) as visitors:
            happening(apps.servers[colour], visitors)
            eventually(lambda v=visitors: all(one.client.connected for one in v), 60)
            been = {colour for one in visitors for colour in one.been}
            told = f"round {number}: {happening.__name__} of {colour} at {share} %"
            print(told, sorted(been), flush=True)
            assert been <= ({"blue"} if share == 100 else {"blue", "green"}), told
