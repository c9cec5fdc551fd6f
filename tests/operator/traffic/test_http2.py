"""Visitors over HTTP/2: a real curl and a real Chromium, whose sockets work too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps, in_front, new_certificate, tls
from tests.support.hosts import Hosts
from tests.support.needs import need_module

need_module("playwright.sync_api", "pip install playwright")

pytestmark = pytest.mark.integration
HOST = "tests.operator.traffic.versioned_host:app"
RELEASES = {"blue": "v1.0.0", "green": "v2.0.0"}


@pytest.fixture
def apps(start_host: Hosts) -> RealApps:
    running = {
        colour: start_host(HOST, environment={"ENVIRONMENT": colour, "APP_VERSION": version})
        for colour, version in RELEASES.items()
    }
    return RealApps(running).until_ready()


@pytest.fixture(params=["nginx", "haproxy", pytest.param("envoy", marks=pytest.mark.long)])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, apps: RealApps
) -> Iterator[Balancer]:
    # A short name: a unix socket of HAProxy's lies in it, whose path may have 97 characters.
    folder = tmp_path_factory.mktemp("h2")
    more = tls(request.param, new_certificate(folder))
    with in_front(request.param, folder, apps, more) as found:
        yield found


def test_pages_come_over_http_2_and_sockets_work(site: Balancer, chromium: Path) -> None:
    from tests.app.console.browsing import browser_of

    address = f"https://127.0.0.1:{site.port}/"
    curl = ["curl", "-ksS", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]
    said = subprocess.run([*curl, address], capture_output=True, text=True, check=True)
    assert said.stdout == "2 200"
    with browser_of(chromium) as browser:
        context = browser.new_context(ignore_https_errors=True)
        tab = context.new_page()
        tab.goto(address)
        protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert tab.evaluate(protocol) == "h2"
        assert tab.evaluate("ask()") == tab.evaluate("talk()") == tab.title() == "v1.0.0"
        # A websocket from the start: no poll stands in for it.
        alone = "new Promise((ok, no) => { const s = io({ transports: ['websocket'] });"
        alone += " s.on('connect', () => s.emit('who', ok)); s.on('connect_error', no); })"
        assert tab.evaluate(alone) == "v1.0.0"
        context.close()
