"""One stand for the tests of releases in a file; each finds it settled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operator.release.stand import Stand
from tests.support.hosts import Hosts


class Standing:
    """A stand that is started when it is first wanted, and anew where a test left it broken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._hosts: Hosts | None = None
        self._stand: Stand | None = None

    def settled(self) -> Stand:
        """The stand, with nothing wrong."""
        if self._stand is not None:
            try:
                self._stand.settle()
            except Exception as error:
                # Whatever the last test left; the next one must not pay for it.
                print(f"the stand is started anew: {error!r}")
                self.stop()
            else:
                return self._stand
        folder = self._folder / str(next(self._numbers))
        self._hosts = Hosts(folder / "hosts")
        self._stand = Stand(folder, self._hosts)
        self._stand.settle()
        return self._stand

    def stop(self) -> None:
        """End every server of it."""
        stand, self._stand = self._stand, None
        hosts, self._hosts = self._hosts, None
        try:
            if stand is not None:
                stand.stop()
        finally:
            if hosts is not None:
                hosts.stop_all()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, nginx_binary: Path) -> Iterator[Standing]:
    """What keeps the stand for all tests of a file."""
    found = Standing(tmp_path_factory.mktemp("stand"))
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def stand(standing: Standing) -> Stand:
    """Redis, blue (v1) with all traffic, green (v2), nginx; nothing wrong with any of them."""
    return standing.settled()
