"""A release as a page of a terminal, for `release start` and `release status --watch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mina_ops.cli import output
from mina_ops.operator.release.model import FORWARD

_EVERY_SECONDS = 1.0
_OLD_SECONDS = 10.0
_BAR_CELLS = 20
LINES_SHOWN = 8
_STYLES = {"pass": "green", "fail": "bold red"}


def watch(read: Callable[[], Mapping[str, Any] | None]) -> None:
    """Show what `read` gives, once a second until the release has ended.

    On a terminal it is a page that is redrawn, elsewhere the lines that are new. With `--json`,
    each state is one line of JSON.
    """
    if output.is_json():
        for state in _states(read):
            output.data(state, "")
        return
    console = Console()
    if not console.is_terminal:
        _lines(read)
        return
    with Live(console=console, refresh_per_second=4) as live:
        for state in _states(read):
            live.update(page(console, state))


def _states(read: Callable[[], Mapping[str, Any] | None]) -> Iterator[Mapping[str, Any] | None]:
    """The states until the last one, in which the release has ended, or there is none."""
    while True:
        state = read()
        yield state
        if state is None or state.get("ended"):
            return
        time.sleep(_EVERY_SECONDS)


def _lines(read: Callable[[], Mapping[str, Any] | None]) -> None:
    shown: list[str] = []
    for state in _states(read):
        for line in (state or {}).get("lines", []):
            if line not in shown:
                shown.append(line)
                click.echo(output.plain(line))


def page(console: Console, state: Mapping[str, Any] | None) -> Group:
    """One state as a page that fits the console, of 80 columns and 24 lines at least.

    What is left below the verdicts shows the last lines that the release wrote.
    """
    if state is None:
        return Group(Text("No release was reported."))
    parts = _parts(state)
    used = len(console.render_lines(Group(*parts)))
    # One line stays empty at the end of the terminal, and one between the verdicts and the lines.
    room = min(LINES_SHOWN, max(0, console.height - used - 2))
    lines = "\n".join(state.get("lines", [])[-room:] if room else [])
    return Group(*parts, Text(), Text(lines, style="dim", no_wrap=True, overflow="ellipsis"))


def _parts(state: Mapping[str, Any]) -> list[Text | Table]:
    parts: list[Text | Table] = [_title(state), _phases(state), _controller(state)]
    if state.get("paused") and not state.get("ended"):
        parts.append(Text("paused: `mina-ops release promote`, `resume` or `abort`", "bold yellow"))
    if state.get("colours"):
        parts += [Text(), _figures(state), Text(), _verdicts(state)]
    return parts


def _title(state: Mapping[str, Any]) -> Text:
    percent = int(state.get("percent") or 0)
    filled = round(_BAR_CELLS * percent / 100)
    bar = "█" * filled + "░" * (_BAR_CELLS - filled)
    title = f"{state['version']}  {state['from']} to {state['to']}  {bar} {percent} %"
    return Text(title, style="bold")


def _phases(state: Mapping[str, Any]) -> Text:
    line, names = Text(), [str(phase) for phase in FORWARD]
    reached = names.index(state["phase"]) if state["phase"] in names else -1
    for number, phase in enumerate(names):
        now = "bold reverse" if number == reached else "green" if number < reached else "dim"
        line.append(phase, now).append(" ")
    if reached < 0:
        line.append(f" {state['phase']} ", "bold red reverse")
    return line


def _controller(state: Mapping[str, Any]) -> Text:
    age = float(state.get("age_seconds") or 0.0)
    heard = f"{state.get('who')} on {state.get('host')}, heard {age:.0f} s ago"
    if state.get("ended"):
        return Text("ended", style="dim")
    if age > _OLD_SECONDS:
        return Text(f"{heard}: is it stopped? `mina-ops release abort` takes over", "bold red")
    return Text(heard, style="dim")


def _figures(state: Mapping[str, Any]) -> Table:
    table = _plain("colour")
    for column in ("requests", "errors", "P95 ms", "handshakes failed", "database ms"):
        table.add_column(column, justify="right")
    for name, found in state["colours"].items():
        if found.get("fault"):
            table.add_row(name, "does not answer", "", "", "", "")
            continue
        table.add_row(
            name,
            str(found["requests"]) + (" (stale)" if found.get("stale") else ""),
            str(found["errors"]),
            _number(found.get("p95_ms"), "{:.0f}"),
            f"{found['handshakes_failed']} of {found['handshakes']}",
            _number(found.get("database_ms"), "{:.1f}"),
        )
    return table


def _number(value: Any, form: str) -> str:
    return "-" if value is None else form.format(value)


def _verdicts(state: Mapping[str, Any]) -> Table:
    after = f"{float(state.get('seconds') or 0):.0f} s after the last change"
    if state.get("seconds_left"):
        after += f", {float(state['seconds_left']):.0f} s left"
    table = _plain("trigger", "verdict", after)
    for finding in state.get("verdicts", []):
        verdict = str(finding["verdict"])
        shown = Text(verdict.replace("_", " "), style=_STYLES.get(verdict, "yellow"))
        table.add_row(str(finding["trigger"]).replace("_", " "), shown, str(finding["reason"]))
    return table


def _plain(*columns: str) -> Table:
    return Table(*columns, box=None, header_style="dim", padding=(0, 3, 0, 0))
