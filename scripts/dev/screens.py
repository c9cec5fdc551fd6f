#!/usr/bin/env python3
"""Write docs/screens.md: what a terminal of 80 and of 120 columns shows of a real release.

    .venv/bin/python scripts/dev/screens.py

A release of the tests' stand (real Redis, nginx, both colours, visitors) is watched from tmux
while it has 25 %, then green begins to fail. Takes about two minutes.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))

from tests.operator.release.stand import TOKEN, Stand, ended, traffic  # noqa: E402
from tests.support.command import MINA_OPS  # noqa: E402
from tests.support.hosts import Hosts  # noqa: E402

PAGE = REPOSITORY / "docs" / "screens.md"
WIDTHS = (80, 120)
_NUMBERS = itertools.count()
LINES = 24
PLAN = """
[release]
steps = [10, 25, 50, 100]
step_seconds = 40
patience_seconds = 60
no_data = "continue"
health_looks = 1
warm_up = ["/"]
drain_grace_seconds = 1
[release.triggers]
p95_increase_ms = 50
[release.hooks]
backup = ["echo 41 MB to /backups/mina.dump"]
"""
INTRO = """# Screens

<!-- no block is run: scripts/dev/screens.py -->

What a terminal shows of a release, at 80 and at 120 columns: captured by `scripts/dev/screens.py`
from tmux, of a real release of a small test site (no database, no WebSocket clients).
"""


def main() -> int:
    """Run the release, and write the page."""
    with tempfile.TemporaryDirectory(prefix="screens-") as folder:
        hosts = Hosts(Path(folder) / "hosts")
        stand = Stand(Path(folder), hosts)
        try:
            parts = _screens(stand)
        finally:
            stand.stop()
            hosts.stop_all()
    PAGE.write_text("\n".join([INTRO, *parts]).replace(folder, "/srv/mina") + "\n")
    return 0


def _screens(stand: Stand) -> list[str]:
    stand.plan(PLAN)
    with traffic(stand.port, a_second=40, visitors=4):
        time.sleep(5)
        release = stand.start("release", "start", "v2")
        stand.until_given(25)
        time.sleep(10)
        parts = _both("A look at everything", stand, "status")
        parts += _both("The release, live, from any terminal", stand, "release status --watch")
        stand.faults("green", error_percent=20)
        ended(release)
    stand.faults("green")
    parts += _both("What happened, step by step", stand, "release show", lines=400)
    return [*parts, *_both("Where it stands, afterwards", stand, "release status")]


def _both(title: str, stand: Stand, command: str, lines: int = LINES) -> list[str]:
    parts = [f"## {title}", ""]
    for width in WIDTHS:
        parts += [f"{width} columns:", "", "```console", f"$ mina-ops {command}"]
        parts += [*_captured(stand, command, width, lines), "```", ""]
    return parts


def _captured(stand: Stand, command: str, width: int, lines: int) -> list[str]:
    """What stands on a terminal of that size eight seconds after the command began."""
    # A server of its own each time: the one before may still be ending.
    tmux = ["tmux", "-f", "/dev/null", "-L", f"mina-{os.getpid()}-{next(_NUMBERS)}"]
    line = f"MINA_OPS_TOKEN={TOKEN} {MINA_OPS} --config {stand.file} {command}; sleep 60"
    size = ["-x", str(width), "-y", str(lines)]
    subprocess.run([*tmux, "new-session", "-d", *size, "-s", "screen", line], check=True)
    time.sleep(8)
    shown = subprocess.run(
        [*tmux, "capture-pane", "-p", "-t", "screen"], check=True, capture_output=True, text=True
    )
    subprocess.run([*tmux, "kill-server"], check=True)
    return shown.stdout.rstrip().splitlines()


if __name__ == "__main__":
    sys.exit(main())
