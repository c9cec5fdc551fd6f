"""The live view of a release from another terminal."""

from __future__ import annotations

import io
import json
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from mina_ops.cli import output
from mina_ops.cli.release_watch import page, watch

STATE: dict[str, Any] = {
    "version": "v2.5.0",
    "from": "blue",
    "to": "green",
    "phase": "switch",
    "percent": 25,
    "ended": False,
    "who": "ana",
    "host": "deploy-1",
    "age_seconds": 1.2,
    "seconds": 142.0,
    "seconds_left": 458.0,
    "paused": False,
    "colours": {
        "green": {"requests": 412, "errors": 0, "p95_ms": 91.0, "handshakes": 38,
                  "handshakes_failed": 0, "database_ms": 2.1},
        "blue": {"requests": 1240, "errors": 1, "p95_ms": 87.0, "handshakes": 121,
                 "handshakes_failed": 1, "database_ms": 2.0},
    },
    "verdicts": [
        {"trigger": "error_rate", "verdict": "pass", "reason": "0 of 412 requests failed (0.00 %)"},
        {"trigger": "p95", "verdict": "pass", "reason": "P95 91 ms against 87 ms"},
        {"trigger": "websocket_success", "verdict": "no_data",
         "reason": "0 of 38 WebSocket handshakes failed (0.00 %), 7 more without one would do"},
    ],
    "lines": ["12:04:10 switch: begins", "12:14:13 traffic: blue 75 %, green 25 %"],
}  # fmt: skip


def _screen(state: dict[str, Any] | None, width: int) -> list[str]:
    console = Console(width=width, height=24, record=True, force_terminal=True, file=io.StringIO())
    console.print(page(console, state))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_share_figures_verdicts_and_the_controller_are_on_screen(width: int) -> None:
    lines = _screen(STATE, width)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "v2.5.0 blue to green █████░░░░░░░░░░░░░░░ 25 %" in text
    assert "ana on deploy-1, heard 1 s ago" in text
    assert "7 more without one would do" in text
    assert "142 s after the last change, 458 s left" in text
    assert "paused" not in text


def test_many_triggers_leave_less_room_for_lines_and_none_for_an_overflow() -> None:
    long = {"trigger": "a_number", "verdict": "no_data", "reason": "word " * 20}
    state = {**STATE, "verdicts": [*STATE["verdicts"], *[long] * 2], "lines": ["a line"] * 12}
    lines = _screen(state, 80)
    assert 20 < len(lines) <= 24
    assert lines[-1] == "a line"


def test_one_that_is_paused_says_what_goes_on() -> None:
    text = "\n".join(_screen({**STATE, "paused": True}, 80))
    assert "paused: `mina-ops release promote`, `resume` or `abort`" in text


def test_a_colour_that_does_not_answer_has_no_figures() -> None:
    state = {**STATE, "colours": {"green": {"fault": "refused"}}}
    row = next(line for line in _screen(state, 80) if line.startswith("green"))
    assert "does not answer" in row
    assert "0" not in row


def test_a_controller_that_is_not_heard_is_told_with_what_to_type() -> None:
    text = "\n".join(_screen({**STATE, "age_seconds": 45.0}, 100))
    assert "heard 45 s ago: is it stopped? `mina-ops release abort` takes over" in text


def test_without_any_release_it_says_so() -> None:
    assert _screen(None, 80) == ["No release was reported."]


def test_with_json_each_state_is_an_object_until_it_has_ended() -> None:
    states = iter([STATE, {**STATE, "percent": 100, "ended": True}])

    @click.command()
    @output.json_option
    def watching() -> None:
        watch(lambda: next(states))

    lines = CliRunner().invoke(watching, ["--json"]).stdout.splitlines()
    shown = list(map(json.loads, lines))
    assert [(one["percent"], one["ended"]) for one in shown] == [(25, False), (100, True)]
