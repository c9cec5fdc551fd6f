from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.console.stage import Stage, running
from tests.support.needs import missing, need_module

playwright: Any = need_module("playwright.sync_api", "pip install playwright")


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[playwright.Browser]:
    """One Chromium for a module's tests."""
    from tests.app.console.browsing import AXE, browser_of

    if not AXE.is_file():
        missing("axe-core is not installed: npm install")
    with browser_of(chromium) as found:
        yield found


@pytest.fixture
def stage() -> Iterator[Stage]:
    """The fixture page."""
    with running() as shown:
        yield shown
