"""Chromium as tests use it, and where axe-core lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

REPOSITORY = Path(__file__).parents[3]
AXE = REPOSITORY / "node_modules/axe-core/axe.min.js"


@contextmanager
def browser_of(chromium: Path) -> Iterator[Browser]:
    """An installed Chromium without a window."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), args=[*sandbox, "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """What must not happen on a page while a test looks at it."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        self.requests: list[str] = []

    def _said(self, message: Any) -> None:
        # An answer that is refused on purpose is told by Chromium as an error, too.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(message.text)


def serious_findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical on a page, with the elements."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run()")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
