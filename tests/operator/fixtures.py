"""Stand-in colours with a load balancer in front; a folder's conftest.py takes them from here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operator.balancers import Balancer, nginx_in_front
from tests.operator.stand_in import StandIns, stand_ins


@pytest.fixture
def apps() -> Iterator[StandIns]:
    """Blue and green with two instances each, both ready."""
    with stand_ins() as running:
        yield running


@pytest.fixture
def nginx(tmp_path: Path, apps: StandIns, nginx_binary: Path) -> Iterator[Balancer]:
    """A real nginx that serves 100 % blue."""
    with nginx_in_front(tmp_path, apps, nginx_binary) as balancer:
        yield balancer
