"""A release as a person sees it: live on a terminal, plain lines in a pipe; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mina_ops.operator.release.model import FORWARD, Phase
from mina_ops.operator.release.release import Observer, Release
from mina_ops.operator.release.report import Report
from mina_ops.operator.release.verdicts.model import Figures, Judgement, Verdict
from mina_ops.operator.release.verdicts.statistics import quantile

if TYPE_CHECKING:
    from mina_ops.operator.traffic.model import Split

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red"}
_LINES_KEPT = 8
_BAR_CELLS = 20


@contextmanager
def showing(release: Release) -> Iterator[None]:
    """Show what the release does while the body runs it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with _reporting(release, Lines(release)):
            yield
        return
    view = LiveView(release)
    with (
        _reporting(release, view),
        Live(get_renderable=view.render, console=console, refresh_per_second=4),
    ):
        yield


@contextmanager
def _reporting(release: Release, view: Observer) -> Iterator[None]:
    with Report(release, view) as report:
        release.surroundings.observer = report
        yield


class Lines(Observer):
    """One plain line for each thing that changed."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._shown = ""

    def phase(self, phase: Phase, text: str) -> None:
        self._say(f"{phase}: {text}")

    def output(self, phase: Phase, line: str) -> None:
        self._say(f"{phase}| {line}")

    def split(self, split: Split) -> None:
        self._say(f"traffic: {split.describe()}")

    def look(self, new: Figures, old: Figures, judgement: Judgement, seconds: float) -> None:
        line = ", ".join(f"{f.trigger} {f.verdict}" for f in judgement.findings)
        if line != self._shown:
            self._shown = line
            self._say(f"{seconds:5.1f} s: {line}")

    def drain(self, colour: str, remaining: int | None) -> None:
        self._say(f"drain: {'?' if remaining is None else remaining} sessions on {colour}")

    def _say(self, text: str) -> None:
        stamp = time.strftime("%H:%M:%S")
        self._console.print(f"[{stamp}] {text}", markup=False)


class LiveView(Observer):
    """Phase, split, both colours' figures and the verdicts, redrawn in place."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._phase = Phase.CHECKS
        self._split: Split | None = None
        self._seconds = 0.0
        self._figures: tuple[Figures, Figures] | None = None
        self._judgement = Judgement(())
        self._lines: list[str] = []

    def phase(self, phase: Phase, text: str) -> None:
        self._phase = phase
        self._line(f"{phase}: {text}")

    def output(self, phase: Phase, line: str) -> None:
        self._line(f"{phase}| {line}")

    def split(self, split: Split) -> None:
        self._split = split
        self._line(f"traffic: {split.describe()}")

    def look(self, new: Figures, old: Figures, judgement: Judgement, seconds: float) -> None:
        self._figures, self._judgement, self._seconds = (new, old), judgement, seconds

    def drain(self, colour: str, remaining: int | None) -> None:
        self._line(f"drain: {'?' if remaining is None else remaining} sessions on {colour}")

    def render(self) -> Group:
        """The whole view as it is now; fits 80 columns and 24 lines."""
        parts: list[Text | Table] = [self._title(), self._phases()]
        if self._figures is not None:
            parts += [Text(), self._both(*self._figures), Text(), self._verdicts()]
        lines = Text("\n".join(self._lines), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(*parts, Text(), lines)

    def _line(self, text: str) -> None:
        self._lines = [*self._lines, f"{time.strftime('%H:%M:%S')} {text}"][-_LINES_KEPT:]

    def _title(self) -> Text:
        release, title = self._release, Text(style="bold")
        title.append(f"{release.version}  {release.old.name} to {release.new.name}")
        if self._split is not None:
            percent = self._split.percent[release.new.name]
            filled = round(_BAR_CELLS * percent / 100)
            title.append(f"  {'█' * filled}{'░' * (_BAR_CELLS - filled)} {percent} %")
        return title

    def _phases(self) -> Text:
        line = Text()
        reached = FORWARD.index(self._phase) if self._phase in FORWARD else -1
        for number, phase in enumerate(FORWARD):
            style = (
                "bold reverse" if phase is self._phase else "green" if number < reached else "dim"
            )
            line.append(f"{phase}", style).append(" ")
        if self._phase not in FORWARD:
            line.append(f" {self._phase} ", "bold red reverse")
        return line

    def _both(self, new: Figures, old: Figures) -> Table:
        table = _plain("colour")
        for column in ("requests", "errors", "P95 ms", "handshakes failed", "database ms"):
            table.add_column(column, justify="right")
        for name, found in ((self._release.new.name, new), (self._release.old.name, old)):
            table.add_row(name, *_cells(found))
        return table

    def _verdicts(self) -> Table:
        table = _plain("trigger", "verdict", f"{self._seconds:.0f} s after the last change")
        for finding in self._judgement.findings:
            style = _STYLES.get(finding.verdict, "yellow")
            verdict = Text(finding.verdict.replace("_", " "), style=style)
            table.add_row(finding.trigger.replace("_", " "), verdict, finding.reason)
        return table


def _plain(*columns: str) -> Table:
    return Table(*columns, box=None, header_style="dim", padding=(0, 3, 0, 0))


def _cells(found: Figures) -> list[str]:
    if found.fault is not None:
        return ["does not answer", "", "", "", ""]
    p95 = quantile(found.histogram, 0.95)
    shaken = found.handshakes
    return [
        str(found.requests) + (" (stale)" if found.stale else ""),
        str(found.errors),
        "-" if p95 is None else f"{p95:.0f}",
        f"{shaken.failed} of {shaken.accepted + shaken.failed}",
        "-" if found.database_ms is None else f"{found.database_ms:.1f}",
    ]
