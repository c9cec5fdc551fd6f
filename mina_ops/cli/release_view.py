"""A release as a person sees it: live on a terminal, plain lines in a pipe; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live

from mina_ops.cli.release_watch import LINES_SHOWN, page
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Observer, Release
from mina_ops.operator.release.report import Report
from mina_ops.operator.release.verdicts.model import Figures, Judgement

if TYPE_CHECKING:
    from mina_ops.operator.traffic.model import Split


@contextmanager
def showing(release: Release) -> Iterator[None]:
    """Show what the release does while the body runs it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with _reporting(release, Lines()):
            yield
        return
    recent = Recent()
    with _reporting(release, recent) as report:

        def shown() -> Group:
            return page(console, {**report.state(), "lines": recent.lines})

        with Live(get_renderable=shown, console=console, refresh_per_second=4):
            yield


@contextmanager
def _reporting(release: Release, view: Observer) -> Iterator[Report]:
    with Report(release, view) as report:
        release.surroundings.observer = report
        yield report


class _Narrator(Observer):
    """Makes a line of each thing that changed; who shows them overrides `line`."""

    def line(self, text: str) -> None:
        """Show one line."""
        raise NotImplementedError

    def phase(self, phase: Phase, text: str) -> None:
        self.line(f"{phase}: {text}")

    def output(self, phase: Phase, line: str) -> None:
        self.line(f"{phase}| {line}")

    def split(self, split: Split) -> None:
        self.line(f"traffic: {split.describe()}")

    def drain(self, colour: str, remaining: int | None) -> None:
        self.line(f"drain: {'?' if remaining is None else remaining} sessions on {colour}")


class Lines(_Narrator):
    """Prints each line on stderr, verdicts too when they change."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._shown = ""

    def line(self, text: str) -> None:
        self._console.print(f"[{time.strftime('%H:%M:%S')}] {text}", markup=False)

    def look(self, new: Figures, old: Figures, judgement: Judgement, seconds: float) -> None:
        line = ", ".join(f"{f.trigger} {f.verdict}" for f in judgement.findings)
        if line != self._shown:
            self._shown = line
            self.line(f"{seconds:5.1f} s: {line}")


class Recent(_Narrator):
    """Keeps the last lines, for the page that is redrawn."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines = [*self.lines, f"{time.strftime('%H:%M:%S')} {text}"][-LINES_SHOWN:]
