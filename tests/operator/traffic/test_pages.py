"""Two tabs of two releases in Chromium, through every kind of switch, in front of real apps."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mina_ops.demo.processes import Server
from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps, in_front
from tests.support.command import MINA_OPS
from tests.support.hosts import Hosts
from tests.support.needs import need_module
from tests.support.wait import eventually

need_module("playwright.sync_api", "pip install playwright")

pytestmark = pytest.mark.integration
HOST = "tests.operator.traffic.versioned_host:app"
RELEASES = {"blue": "v1.0.0", "green": "v2.0.0"}


@pytest.fixture
def apps(start_host: Hosts, redis_url: str) -> RealApps:
    def begin(colour: str) -> Server:
        environment = {"ENVIRONMENT": colour, "APP_VERSION": RELEASES[colour]}
        return start_host(HOST, threads=20, environment={**environment, "REDIS_URL": redis_url})

    return RealApps({colour: begin(colour) for colour in RELEASES}).until_ready()


@pytest.fixture(params=["nginx", "haproxy", pytest.param("envoy", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest, tmp_path: Path, apps: RealApps) -> Iterator[Balancer]:
    with in_front(request.param, tmp_path, apps) as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Any]:
    from tests.app.console.browsing import browser_of

    with browser_of(chromium) as found:
        yield found


def switch(site: Balancer, *arguments: str) -> None:
    """What a person types."""
    done = subprocess.run(
        [MINA_OPS, "--config", site.toml, "switch", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def open_tab(context: Any, site: Balancer) -> Any:
    tab = context.new_page()
    tab.goto(f"http://127.0.0.1:{site.port}/")
    return tab


def lives(tab: Any, moment: str) -> None:
    """A page's lazily loaded file, its API and a new socket are all of its own release."""
    own = tab.title()
    assert tab.evaluate(f"lazy('{moment}')") == own
    assert [tab.evaluate("ask()") for _ in range(3)] == [own] * 3
    assert tab.evaluate("talk()") == own


def told(tab: Any) -> list[dict[str, str]]:
    found: list[dict[str, str]] = tab.evaluate("told")
    return found


def test_two_tabs_keep_their_releases_through_switch_canary_and_the_way_back(
    site: Balancer, browser: Any
) -> None:
    context = browser.new_context()
    first = open_tab(context, site)
    assert (first.title(), told(first)) == ("v1.0.0", [])
    lives(first, "before")
    switch(site, "blue", "green", "--canary", "50")
    lives(first, "canary")
    switch(site, "blue", "green", "--instant")
    second = open_tab(context, site)
    assert second.title() == "v2.0.0"
    for tab in (first, second):
        lives(tab, "switched")
    # The first is told that a reload leads to the second's release; once.
    eventually(lambda: first.evaluate("ask()") and told(first))
    assert told(first) == [{"release": "v2.0.0", "page": "v1.0.0"}]
    assert told(second) == []
    switch(site, "green", "blue", "--instant")
    for tab in (first, second):
        lives(tab, "back")
    third = open_tab(context, site)
    assert third.title() == "v1.0.0"
    first.reload()
    assert first.title() == "v1.0.0"
    context.close()


def test_a_page_of_a_dead_release_is_served_by_the_other_one_and_told(
    site: Balancer, apps: RealApps, browser: Any
) -> None:
    context = browser.new_context()
    tab = open_tab(context, site)
    switch(site, "blue", "green", "--instant")
    lives(tab, "switched")
    apps.servers["blue"].stop()
    # HAProxy learns of it from its next probes.
    eventually(lambda: tab.evaluate("ask()") == "v2.0.0", 20)
    assert tab.evaluate("talk()") == "v2.0.0"
    assert told(tab)[-1] == {"release": "v2.0.0", "page": "v1.0.0"}
    context.close()


def test_a_browser_without_cookies_posts_its_form_where_it_got_it(
    site: Balancer, browser: Any
) -> None:
    switch(site, "blue", "green", "--canary", "50")
    seen = set()
    for number in range(6):
        context = browser.new_context(user_agent=f"Browser without cookies {number}")
        # As a frame of another site, or a browser that keeps none.
        context.route("**/*", lambda route: route.continue_(headers=_plain(route.request)))
        tab = open_tab(context, site)
        seen.add(tab.title())
        tab.get_by_role("button").click()
        tab.wait_for_url("**/form")
        assert tab.locator("body").inner_text() == "same"
        context.close()
    assert seen == set(RELEASES.values())


def _plain(request: Any) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name != "cookie"}
