"""The live page in a real browser, over a canary, a drain and a rollback: no line is missing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from mina_ops.demo.pages import client_folders, socket_io_client
from mina_ops.demo.stage import Stage, standing
from mina_ops.demo.switching import Switcher
from mina_ops.operator.api.client import AppClient
from tests.app.console.browsing import Watched, browser_of
from tests.support.wait import eventually

pytestmark = pytest.mark.once

# Where `docs/` gets its picture from: LIVE_PICTURE=docs/images/live.png pytest ...
PICTURE = "LIVE_PICTURE"
_LINE = re.compile(r"chunks (\d+) to (\d+), (transcribed|not transcribed) by (\w+)")


def by(condition: Callable[[], bool]) -> None:
    eventually(condition, 30, "the command does not end")


class Live:
    """The page, logged in and streaming."""

    def __init__(self, page: Page, stage: Stage) -> None:
        self.page = page
        url = stage.settings.public_url
        login = {"username": "mina", "password": stage.keys.passwords["mina"]}
        assert page.request.post(f"{url}/api/auth/login", form=login).ok
        page.goto(f"{url}/live")
        page.click("#toggle:enabled")
        self.wait(lambda: self.number("acknowledged") > 4, "no chunk is acknowledged")

    def wait(self, condition: Callable[[], bool], why: str) -> None:
        # Through the page, whose events come only while it is asked something.
        eventually(condition, 30, why, interval=0.1)

    def number(self, name: str) -> int:
        """A figure of the page."""
        return int(self.page.text_content(f"#{name}") or 0)

    def colour(self) -> str:
        """What its header says."""
        return (self.page.text_content("#live-on") or "").rpartition(" ")[2]

    def lines(self) -> list[tuple[int, int, str, str]]:
        """Transcript lines, the first one first: first and last chunk, how, by whom."""
        texts = self.page.locator("#transcript li").all_text_contents()
        found = [_LINE.fullmatch(text) for text in reversed(texts)]
        return [(int(m[1]), int(m[2]), m[3], m[4]) for m in found if m]

    def moves_to(self, colour: str) -> None:
        """Wait until it is there, streams there, and its header says so."""
        self.wait(lambda: self.colour() == colour, f"the header does not say {colour}")
        before = len(self.lines())
        self.wait(lambda: len(self.lines()) > before + 1, "no transcript comes")
        assert self.lines()[-1][3] == colour


def test_no_line_is_missing_or_doubled_over_a_canary_a_drain_and_a_rollback(
    tmp_path: Path, nginx_binary: Path, chromium: Path, node: Path
) -> None:
    assert socket_io_client(client_folders()), "npm install"
    with (
        standing(tmp_path / "stage", lambda _text: None) as stage,
        Switcher(stage.settings.file) as switcher,
        browser_of(chromium) as browser,
    ):
        page = browser.new_page(viewport={"width": 1000, "height": 700})
        watched = Watched(page)
        live = Live(page, stage)
        token = stage.keys.admin_token
        blue, green = (
            AppClient(name, stage.settings.colours[name].url, token=token)
            for name in ("blue", "green")
        )
        with blue, green:
            assert live.colour() == "blue"
            switcher.switch("blue", "green", "--canary", "50", wait=by)
            live.wait(lambda: live.number("acknowledged") > 24, "it does not go on")
            assert live.colour() == "blue"
            switcher.switch("blue", "green", "--instant", wait=by)
            blue.begin_drain(2)
            live.moves_to("green")
            # The way back.
            blue.cancel_drain()
            switcher.switch("green", "blue", "--instant", wait=by)
            green.begin_drain(2)
            live.moves_to("blue")
            if os.environ.get(PICTURE):
                page.screenshot(path=os.environ[PICTURE])
            page.click("#toggle")
            live.wait(lambda: live.number("waiting") == 0, "chunks wait")
        lines = live.lines()
        assert [first for first, *_ in lines] == [1, *(last + 1 for _, last, *_ in lines[:-1])]
        assert {how for _, _, how, _ in lines} == {"transcribed"}
        assert {colour for *_, colour in lines} == {"blue", "green"}
        assert live.number("sent") == live.number("acknowledged")
        assert page.locator('#chunks li[data-colour="lost"]').count() == 0
        assert watched.faults == []
