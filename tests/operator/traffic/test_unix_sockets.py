"""Colours that listen on unix sockets: real gunicorn, both balancers, stock clients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mina_ops.operator.system.programs import run
from mina_ops.operator.traffic import gate, identity
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer
from tests.operator.fronts import await_ready, in_front
from tests.support.command import MINA_OPS
from tests.support.hosts import Hosts
from tests.support.stock import StockClients

pytestmark = pytest.mark.integration
HOST = "tests.operator.traffic.versioned_host:app"
RELEASES = {"blue": "v1.0.0", "green": "v2.0.0"}


@dataclass
class SocketApps:
    """Where the sockets of both colours are."""

    folder: Path

    def address(self, colour: str) -> str:
        return f"unix:{self.folder}/{colour}-0.sock"

    def toml(self) -> str:
        return "\n".join(
            f'[colours.{colour}]\nurl = "{self.address(colour)}"\n'
            f'instances = {{ "0" = "{self.address(colour)}" }}\n'
            for colour in RELEASES
        )


@pytest.fixture
def apps(start_host: Hosts, short_folder: Path) -> SocketApps:
    found = SocketApps(short_folder)
    for colour, version in RELEASES.items():
        environment = {"ENVIRONMENT": colour, "APP_VERSION": version, "MINA_OPS_INSTANCE": "0"}
        options = ("--bind", found.address(colour))
        await_ready(start_host(HOST, threads=20, environment=environment, options=options))
    return found


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A socket's path may have a hundred characters."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture(params=["nginx", "haproxy", "envoy"])
def site(request: pytest.FixtureRequest, tmp_path: Path, apps: SocketApps) -> Iterator[Balancer]:
    with in_front(request.param, tmp_path, apps) as found:
        yield found


def test_a_site_of_unix_sockets_serves_switches_and_keeps_its_sessions(site: Balancer) -> None:
    settings = site.settings()
    assert site.driver.check() == []
    assert identity.problems(settings, site.driver.read().split) == []
    gate.require_ready(settings.colour("green"))
    with StockClients() as clients:
        client = clients.connect(f"http://127.0.0.1:{site.port}", "polling")
        switched = run(
            [MINA_OPS, "--config", str(site.toml), "switch", "blue", "green", "--instant"],
            timeout_seconds=60,
        )
        assert switched.code == 0, switched.stderr
        assert site.driver.read().split == Split({"blue": 0, "green": 100}, {}, RELEASES)
        assert site.get("/api/who").body == b"v2.0.0"
        assert client.call("who", timeout=30) == "v1.0.0"
        assert site.get("/static/lazy-v1.0.0.js").status == 200


# httpcore leaves a socket that could not connect to the garbage collector.
@pytest.mark.filterwarnings(
    r"ignore:unclosed <socket.socket fd=\d+, family=1, type=1, proto=0>:ResourceWarning"
)
def test_a_socket_that_nobody_listens_on_is_named(site: Balancer, apps: SocketApps) -> None:
    Path(apps.address("blue").removeprefix("unix:")).unlink()
    found = identity.problems(site.settings(), None)
    assert any(f"cannot be reached at {apps.address('blue')}" in problem for problem in found)
