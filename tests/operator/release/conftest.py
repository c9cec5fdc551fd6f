"""One stand for all release tests; each finds it settled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operator.release.stand import Stand
from tests.support.hosts import Hosts


@pytest.fixture(scope="module")
def _standing(tmp_path_factory: pytest.TempPathFactory, nginx_binary: Path) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("stand")
    hosts = Hosts(folder / "hosts")
    try:
        stand = Stand(folder, hosts)
        try:
            yield stand
        finally:
            stand.stop()
    finally:
        hosts.stop_all()


@pytest.fixture
def stand(_standing: Stand) -> Stand:
    """Redis, blue (v1) with all traffic, green (v2), nginx; nothing wrong with any of them."""
    _standing.settle()
    return _standing
