"""Somebody who has never seen the page, a release that is bad, and servers that go away."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.console.browsing import Watched
from tests.operator.release.stand import TOKEN, Stand, ended
from tests.operator.release.standing import stand, standing
from tests.support.wait import eventually

pytestmark = pytest.mark.once

__all__ = ["stand", "standing"]

# As in the playbook, green stays at its share until its samples are in.
SLOW = """
[release]
steps = [50, 100]
step_seconds = 600
look_seconds = 0.1
health_looks = 1
gradual_seconds = 0.2
warm_up = ["/"]
"""
WAIT = 60_000


@pytest.fixture
def page(browser: Browser, stand: Stand) -> Iterator[Page]:
    """The console behind the load balancer, entered with a token."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    watched = Watched(page)
    page.goto(f"http://127.0.0.1:{stand.port}/mina-ops/")
    page.get_by_label("token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#console:not([hidden])", timeout=WAIT)
    yield page
    page.close()
    assert watched.faults == []


@pytest.fixture
def _at_half(stand: Stand) -> Iterator[None]:
    """A release that gave green one half, and waits."""
    stand.plan(SLOW)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    yield
    if release.poll() is None:
        stand.run("release", "abort")
    ended(release)


@pytest.mark.usefixtures("_at_half")
def test_green_is_bad_and_everybody_is_on_blue_after_two_clicks_and_a_confirmation(
    page: Page, stand: Stand
) -> None:
    expect(page.locator("#release-line")).to_contain_text("release v2: switch 50 %", timeout=WAIT)
    # 1: the button. 2: its confirmation.
    page.get_by_role("button", name="roll back to blue").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Everybody goes to blue (v1, ready 1 of 1).")
    dialog.get_by_role("button", name="roll back to blue").click()
    expect(dialog).to_be_hidden(timeout=WAIT)
    eventually(lambda: stand.share_of_green() == 0, 30, "everybody is on blue")
    changes = page.locator("#changes")
    expect(changes).to_contain_text("abort asked of release", timeout=WAIT)
    expect(changes).to_contain_text("traffic: blue 50 to 100 %, green 50 to 0 %", timeout=WAIT)
    expect(page.locator("#release")).to_contain_text("rolled back", timeout=WAIT)


@pytest.mark.usefixtures("_at_half")
def test_what_is_shown_is_true_or_marked_old_whoever_goes_away(page: Page, stand: Stand) -> None:
    sentence = page.locator("#verdict .sentence")
    stand.redis.pause()
    expect(sentence).to_have_text(
        re.compile(r"figures are \d+ s old: Redis does not answer"), timeout=WAIT
    )
    expect(page.locator(".head.right")).to_have_class(re.compile("old"))
    stand.redis.resume()
    expect(sentence).not_to_have_text(re.compile("Redis"), timeout=WAIT)

    stand.colours["green"].kill()
    expect(page.locator(".head.right .state")).to_have_text(
        re.compile("no instance heard"), timeout=WAIT
    )
    stand.colours["green"] = stand.start_colour("green", stand.colours["green"].port)
    expect(page.locator(".head.right .state")).to_contain_text("ready 1 of 1", timeout=WAIT)


def test_a_controller_that_is_killed_is_missed(page: Page, stand: Stand) -> None:
    stand.plan(SLOW)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    expect(page.locator("#release-line")).to_contain_text("release v2: switch 50 %", timeout=WAIT)
    release.kill()
    ended(release)
    expect(page.locator("#verdict")).to_contain_text(
        re.compile(r"nobody is at work on release v2 \(last heard \d+ s ago\)"), timeout=WAIT
    )
    expect(page.locator("#release code")).to_have_text("mina-ops release abort")
    assert stand.run("release", "abort").code in (0, 5)
