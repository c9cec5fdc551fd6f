"""A real app for each colour behind a real nginx and a real HAProxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.app.admin.conftest import make_app as make_app
from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps, in_front
from tests.support.hosts import running_hosts

HOST = "tests.security.host:app"
CLOSED = ("/metrics", "/admin", "/mina-ops")


@pytest.fixture(scope="session")
def hostile_apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealApps]:
    with contextmanager(running_hosts)(tmp_path_factory.mktemp("hosts")) as start:
        yield RealApps(
            {
                name: start(HOST, threads=16, environment={"ENVIRONMENT": name})
                for name in ("blue", "green")
            }
        )


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def open_site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    hostile_apps: RealApps,
) -> Iterator[Balancer]:
    """A balancer as it is by default, all of whose traffic is blue's."""
    folder = tmp_path_factory.mktemp(request.param)
    with in_front(request.param, folder, hostile_apps) as found:
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
    folder = tmp_path_factory.mktemp(request.param)
    with in_front(request.param, folder, hostile_apps, more) as found:
        yield found
