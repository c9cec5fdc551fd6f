"""The pages' commands as a stranger types them: a wheel, an empty folder, real servers.

One test, since each page goes on with the site that the one before left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_ops.demo.servers import start_redis
from tests.docs.route import ROUTE
from tests.docs.site import Site, type_block
from tests.support.hosts import REPOSITORY
from tests.support.pages import SHELLS, blocks

pytestmark = [pytest.mark.once, pytest.mark.timeout(590)]


@pytest.fixture
def site(tmp_path: Path, nginx_binary: Path) -> Iterator[Site]:
    (tmp_path / "app").mkdir()
    with start_redis(tmp_path / "redis") as redis:
        one = Site(tmp_path / "app", redis, nginx_binary)
        yield one
        one.stop()


def test_every_page_does_what_it_shows(site: Site) -> None:
    faults: list[str] = []
    for page, given in ROUTE.items():
        for block in blocks(REPOSITORY / page):
            if block.language in SHELLS and block.excuse is None:
                faults += type_block(site, block, given)
    assert not faults, "\n\n".join(faults)
