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


@pytest.fixture
def half_of_blue_is_down(stand: Stand) -> Iterator[None]:
    """Blue had a second instance, which has died."""
    second = stand.start_colour("blue", instance="1")
    mine = f'0 = "127.0.0.1:{stand.colours["blue"].port}"'
    text = stand.file.read_text()
    stand.file.write_text(text.replace(mine, f'{mine}\n1 = "127.0.0.1:{second.port}"'))
    installed = stand.run("traffic", "install")
    assert installed.code == 0, installed.out + installed.err
    second.kill()
    yield
    stand.file.write_text(text)
    assert stand.run("traffic", "install").code == 0
