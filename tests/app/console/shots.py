"""Pictures of every state for the eye: `python -m tests.app.console.shots DIR`.

With names of states behind the folder, only those are drawn. `python -m tests.app.console.shots
--docs` draws those of docs/images.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.app.console import stage, states
from tests.app.console.browsing import browser_of
from tests.support.hosts import REPOSITORY

WIDTHS = {390: 844, 1280: 800, 1920: 1080}
# File -> state, scheme, width and height.
DOCS = {
    "console.png": ("draining", "light", 1280, 1090),
    "console-trouble.png": ("both_sick", "dark", 1280, 1060),
    "console-narrow.png": ("canary", "light", 390, 844),
}


def draw(folder: Path, names: list[str], widths: list[int]) -> None:
    """PNG files `state-width-scheme.png` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium")
    assert chromium, "Install Debian's chromium."
    with stage.running() as shown, browser_of(Path(chromium)) as browser:
        for scheme in ("light", "dark"):
            for width in widths:
                page = browser.new_page(
                    viewport={"width": width, "height": WIDTHS[width]},
                    color_scheme=scheme,  # type: ignore[arg-type]
                    reduced_motion="reduce",
                )
                for name in names:
                    page.goto(f"{shown.url}/{name}/")
                    page.wait_for_selector("#console:not([hidden])")
                    page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
                page.close()


def draw_docs() -> None:
    """The pictures that the pages show."""
    folder = REPOSITORY / "docs" / "images"
    chromium = shutil.which("chromium")
    assert chromium, "Install Debian's chromium."
    with stage.running() as shown, browser_of(Path(chromium)) as browser:
        for file, (name, scheme, width, height) in DOCS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                reduced_motion="reduce",
            )
            page.goto(f"{shown.url}/{name}/")
            page.wait_for_selector("#console:not([hidden])")
            page.screenshot(path=folder / file)
            page.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--docs"]:
        draw_docs()
    else:
        draw(Path(sys.argv[1]), sys.argv[2:] or list(states.STATES), list(WIDTHS))
