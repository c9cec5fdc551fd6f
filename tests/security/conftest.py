"""A real app for each colour behind a real nginx and a real HAProxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from tests.app.admin.conftest import make_app as make_app
from tests.operator.balancers import Balancer, haproxy_in_front, nginx_in_front
from tests.support.hosts import running_hosts
from tests.support.needs import need

HOST = "tests.security.host:app"
CLOSED = ("/metrics", "/admin", "/mina-ops")


@dataclass
class RealApps:
    """A gunicorn for each colour."""

    servers: dict[str, Server]

    def toml(self) -> str:
        """The colours' tables."""
        return "\n".join(
            f'[colours.{name}]\nurl = "{server.url}"\ninstances = {{ "0" = "{server.url[7:]}" }}\n'
            for name, server in self.servers.items()
        )


@pytest.fixture(scope="session")
def hostile_apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealApps]:
    with contextmanager(running_hosts)(tmp_path_factory.mktemp("hosts")) as start:
        yield RealApps(
            {
                name: start(HOST, threads=16, environment={"ENVIRONMENT": name})
                for name in ("blue", "green")
            }
        )


@contextmanager
def _in_front(
    name: str, factory: pytest.TempPathFactory, apps: RealApps, more: str = ""
) -> Iterator[Balancer]:
    folder = factory.mktemp(name)
    if name == "nginx":
        with nginx_in_front(folder, apps, need(programs.nginx), more) as found:
            yield found
    else:
        binary = need(lambda: programs.installed("haproxy", "Install Debian's haproxy."))
        with haproxy_in_front(folder, apps, binary, more) as found:
            yield found


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def open_site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    hostile_apps: RealApps,
) -> Iterator[Balancer]:
    """A balancer as it is by default, all of whose traffic is blue's."""
    with _in_front(request.param, tmp_path_factory, hostile_apps) as found:
        yield found


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def closed_site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    hostile_apps: RealApps,
) -> Iterator[Balancer]:
    """A balancer that keeps our paths to a network that nobody here is in."""
    paths = ", ".join(f'"{path}"' for path in CLOSED)
    more = f'closed_paths = [{paths}]\ninside_networks = ["192.0.2.0/24"]\n'
    more += 'trusted_proxies = ["127.0.0.2/32"]'
    with _in_front(request.param, tmp_path_factory, hostile_apps, more) as found:
        yield found
