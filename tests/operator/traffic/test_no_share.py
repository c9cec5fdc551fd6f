"""Real servers, stock clients: a colour without share meets nobody, whatever befalls the other."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import socketio

from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer, haproxy_in_front, nginx_in_front
from tests.operator.traffic.test_one_reading import RealApps
from tests.support.hosts import Hosts
from tests.support.needs import need
from tests.support.wait import eventually

CLIENTS = 6
# python-socketio's client leaves the socket of a lost websocket to the garbage collector.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HOST = "tests.app.drain.host:app"


@pytest.fixture
def apps(start_host: Hosts, redis_url: str) -> RealApps:
    def begin(colour: str) -> Server:
        environment = {"ENVIRONMENT": colour, "MINA_OPS_INSTANCE": "0", "REDIS_URL": redis_url}
        return start_host(HOST, worker="gthread", threads=60, environment=environment)

    running = RealApps({colour: begin(colour) for colour in ("blue", "green")})
    for server in running.servers.values():
        eventually(lambda url=server.url: is_ready(url), 30)
    return running


def is_ready(url: str) -> bool:
    return httpx.get(f"{url}/api/health/ready", timeout=30).status_code == httpx.codes.OK


@pytest.fixture(params=["nginx", "haproxy"])
def site(request: pytest.FixtureRequest, tmp_path: Path, apps: RealApps) -> Iterator[Balancer]:
    if request.param == "nginx":
        running = nginx_in_front(tmp_path, apps, need(programs.nginx))
    else:
        binary = need(lambda: programs.installed("haproxy", "Install Debian's haproxy."))
        running = haproxy_in_front(tmp_path, apps, binary)
    with running as found:
        yield found


@contextmanager
def conversations(site: Balancer) -> Iterator[list[socketio.Client]]:
    """Stock clients with their default options; each is a visitor of its own."""
    with ExitStack() as running:
        clients = []
        for number in range(CLIENTS):
            client = socketio.Client()
            running.callback(client.disconnect)
            headers = {"User-Agent": f"browser {number}"}
            client.connect(f"http://127.0.0.1:{site.port}", headers=headers, wait_timeout=30)
            clients.append(client)
        yield clients
    clients.clear()
    gc.collect()


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def accepted(server: Server) -> int:
    """Sessions that a colour has let in, counted by itself."""
    return int(httpx.get(f"{server.url}/api/metrics/websockets", timeout=30).json()["accepted"])


def hang_up(server: Server) -> None:
    """What `systemctl reload` does: new workers, the old ones end."""
    before = {worker.pid for worker in workers(server)}
    os.kill(server.pid, signal.SIGHUP)
    eventually(lambda: not before & {worker.pid for worker in workers(server)}, 40)


def kill_worker(server: Server) -> None:
    (worker,) = workers(server)
    worker.kill()
    eventually(lambda: worker.pid not in {w.pid for w in workers(server)} and workers(server), 20)


# A killed worker is in the short test below, too.
@pytest.mark.parametrize("happening", [hang_up, pytest.param(kill_worker, marks=pytest.mark.long)])
def test_whatever_happens_to_a_colour_with_all_the_traffic(
    site: Balancer, apps: RealApps, happening: object, pytestconfig: pytest.Config
) -> None:
    blue, green = apps.servers["blue"], apps.servers["green"]
    assert callable(happening)
    with conversations(site) as clients:
        for _ in range(25 if pytestconfig.getoption("--long") else 1):
            happening(blue)
            eventually(lambda: all(client.connected for client in clients), 60)
            assert {client.eio.sid.partition(".")[0] for client in clients} == {"blue"}
            assert accepted(green) == 0


def test_who_lost_its_share_meets_nobody_again(site: Balancer, apps: RealApps) -> None:
    site.driver.apply(Split({"blue": 10, "green": 90}))
    with conversations(site) as clients:
        assert "green" in {client.eio.sid.partition(".")[0] for client in clients}
        site.driver.apply(Split({"blue": 100, "green": 0}))
        before = accepted(apps.servers["green"])
        kill_worker(apps.servers["green"])
        kill_worker(apps.servers["blue"])
        eventually(lambda: all(c.connected and c.eio.sid.startswith("blue.") for c in clients), 60)
        assert accepted(apps.servers["green"]) in (0, before)
