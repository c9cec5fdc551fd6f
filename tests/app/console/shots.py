"""Pictures of every state for the eye, or those of docs/: `python -m tests.app.console.shots DIR`.

With names of states behind the folder, only those are drawn.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.app.console import stage, states
from tests.app.console.browsing import browser_of

WIDTHS = {390: 844, 1280: 800, 1920: 1080}


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


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2:] or list(states.STATES), list(WIDTHS))
