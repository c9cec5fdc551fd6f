"""Shows the play: a live picture on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mina_ops.demo.figures import Figures

_LINES = 14
_BAR_CELLS = 50
_PLAIN_SECONDS = 5.0


@dataclass(frozen=True)
class Status:
    """The play at one moment; counts are totals since its start."""

    split: Mapping[str, int] = field(default_factory=dict)
    connections: Mapping[str, int | None] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    clients: int = 0
    connected: int = 0
    reconnected: int = 0
    sent: int = 0
    waiting: int = 0

    def line(self) -> str:
        """All of it in one line."""
        split = ", ".join(f"{colour} {percent} %" for colour, percent in self.split.items())
        live = ", ".join(f"{c} {'-' if n is None else n}" for c, n in self.connections.items())
        return (
            f"traffic {split}; live sessions {live}; requests {self.requests}, failed "
            f"{self.failed}; clients {self.connected}/{self.clients}, reconnected "
            f"{self.reconnected}; chunks {self.sent}, waiting {self.waiting}"
        )


class Show:
    """Plain lines on a stream; a status at most every 5 seconds.

    Everything that is printed on the way goes to one stream, so the result can be alone on
    standard output.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._last_status = 0.0

    def act(self, title: str) -> None:
        """Begin an act."""
        self._print(f"== {title}")

    def step(self, text: str) -> None:
        """Say what was done, or seen."""
        self._print(f"   {text}")

    def update(self, status: Status) -> None:
        """Show how things stand."""
        now = time.monotonic()
        if now - self._last_status >= _PLAIN_SECONDS:
            self._last_status = now
            self._print(f"   {status.line()}")

    def result(self, figures: Figures) -> None:
        """Show the final table."""
        for name, value in asdict(figures).items():
            print(f"{name.replace('_', ' '):<20}{_shown(value)}", file=self._stream, flush=True)

    def _print(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s {text}", file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to put back."""


class LiveShow(Show):
    """A picture that is redrawn in place: the latest steps above, the figures below."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.file)
        self._console = console
        self._status = Status()
        self._steps: deque[Text] = deque(maxlen=_LINES)
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=8)

    def update(self, status: Status) -> None:
        """Redraw with these figures."""
        self._status = status

    def result(self, figures: Figures) -> None:
        """Print the final table below the picture."""
        self._live.stop()
        table = Table(show_header=False, title="The play in figures", title_justify="left")
        for name, value in asdict(figures).items():
            table.add_row(name.replace("_", " "), _shown(value))
        self._console.print(table)

    def _print(self, text: str) -> None:
        style = "bold" if text.startswith("==") else ""
        clock = f"{time.monotonic() - self._began:6.1f} s "
        self._steps.append(Text(clock, style="dim").append(text, style=style or "not dim"))

    def _picture(self) -> RenderableType:
        steps = Panel(Group(*self._steps), title="Mina, blue to green", title_align="left")
        status = self._status
        visitors = _bar("new visitors", status.split, 100, " %")
        sessions = _bar("live sessions", status.connections, status.clients, "")
        return Group(steps, visitors, sessions, _counts(status))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()


def open_show(stream: IO[str], *, live: bool | None) -> Show:
    """A live show if asked for, or on a terminal; else plain lines."""
    if live is None:
        live = stream.isatty()
    if not live:
        return Show(stream)
    return LiveShow(Console(file=stream, force_terminal=True))


def stdout_or_stderr(*, only_result: bool) -> IO[str]:
    """Where the show goes: standard error if standard output is for the result alone."""
    return sys.stderr if only_result else sys.stdout


def _bar(title: str, parts: Mapping[str, int | None], whole: int, unit: str) -> Text:
    bar = Text(f"{title:<14}")
    for colour, part in parts.items():
        bar.append("█" * round((part or 0) * _BAR_CELLS / max(1, whole)), style=colour)
    for colour, part in parts.items():
        bar.append(f"  {colour} {'-' if part is None else part}{unit}", style=f"bold {colour}")
    return bar


def _counts(status: Status) -> Table:
    table = Table.grid(padding=(0, 3))
    failed = Text(f"failed {status.failed}", style="bold red" if status.failed else "")
    table.add_row(f"requests {status.requests}", failed)
    table.add_row(f"chunks {status.sent}", f"waiting {status.waiting}")
    table.add_row(
        f"clients {status.connected} of {status.clients}", f"reconnected {status.reconnected}"
    )
    return table


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
