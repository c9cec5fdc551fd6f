"""Every public promise holds in every host of the zoo, and its own pages are as bare."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.hosts.host import NAMES, make, pages, summary
from tests.hosts.promises import PROMISES, of_client, of_server
from tests.hosts.table import HELD, MODES, PAGE
from tests.support.hosts import Hosts

_CHANGING = re.compile(r"nonce-[\w-]+")


@pytest.fixture
def made() -> Iterator[Callable[..., Flask]]:
    apps: list[Flask] = []

    def make_one(name: str, *, bare: bool = False) -> Flask:
        apps.append(make(name, bare=bare))
        return apps[-1]

    yield make_one
    for app in apps:
        if "mina_ops" in app.extensions:
            app.extensions["mina_ops"].close()


@pytest.mark.parametrize("name", NAMES)
def test_every_promise_holds(name: str, made: Callable[..., Flask]) -> None:
    ask = of_client(made(name))
    for promise in PROMISES:
        promise(ask)


@pytest.mark.parametrize("name", NAMES)
def test_its_own_pages_are_as_bare(name: str, made: Callable[..., Flask]) -> None:
    ours, bare = made(name).test_client(), made(name, bare=True).test_client()
    for path in pages(name):
        found, expected = ours.get(path), bare.get(path)
        assert found.status_code == expected.status_code, path
        assert found.get_data() == expected.get_data(), path
        assert _shown(found.headers) == _shown(expected.headers), path


def _shown(headers: object) -> list[tuple[str, str]]:
    pairs = [(k, _CHANGING.sub("nonce", v)) for k, v in headers]  # type: ignore[attr-defined]
    return sorted((k, v) for k, v in pairs if not k.startswith("X-RateLimit"))


# All of them take minutes; one host in each mode is always run.
_FIRST = "limiter_and_csrf"
_HOSTS = [name if name == _FIRST else pytest.param(name, marks=pytest.mark.long) for name in NAMES]


@pytest.mark.parametrize("worker", MODES)
@pytest.mark.parametrize("name", _HOSTS)
def test_every_promise_holds_under_a_real_server(name: str, worker: str, start_host: Hosts) -> None:
    environment = {"ZOO_HOST": name}
    host = start_host("tests.hosts.serve:app", worker=worker, environment=environment)
    ask = of_server(host.url)
    for promise in PROMISES:
        promise(ask)


def test_the_page_of_hosts_names_every_one_and_all_held() -> None:
    held = " | ".join([HELD] * (1 + len(MODES)))
    page = PAGE.read_text()
    rows = [f"| `{name}` | {summary(name)} | {held} |" for name in NAMES]
    assert [row for row in rows if row not in page] == [], "python -m tests.hosts.table"
