"""What a person sees of a release."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from mina_ops.cli.release_view import Lines, LiveView
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Handshakes
from mina_ops.operator.traffic.model import Split

RELEASE = cast(
    Release,
    SimpleNamespace(
        version="v2.5.0", new=SimpleNamespace(name="green"), old=SimpleNamespace(name="blue")
    ),
)
DURATIONS = tuple((float(ms), 10.0) for ms in range(1, 101))
OLD = Figures(
    requests=1000,
    errors=3,
    histogram=DURATIONS,
    handshakes=Handshakes(200),
    database="healthy",
    database_ms=12.0,
    ai="healthy",
)
BAD = replace(OLD, errors=80, handshakes=Handshakes(160, 40), database_ms=13.0, ai="unhealthy")


def _seen(view: LiveView) -> list[str]:
    console = Console(width=80, height=24, record=True, force_terminal=True, file=io.StringIO())
    console.print(view.render())
    return console.export_text().splitlines()


@pytest.fixture
def view() -> LiveView:
    view = LiveView(RELEASE)
    for number in range(20):
        view.output(Phase.SMOKE, f"line {number} " + "long " * 40)
    view.phase(Phase.SWITCH, "begins")
    view.split(Split({"blue": 75, "green": 25}))
    return view


def test_a_whole_view_fits_a_small_terminal(view: LiveView) -> None:
    view.look(OLD, OLD, judge(OLD, OLD), 12.0)
    lines = _seen(view)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_the_share_the_figures_and_the_verdicts_are_on_screen(view: LiveView) -> None:
    view.look(BAD, OLD, judge(BAD, OLD), 12.0)
    text = "\n".join(_seen(view))
    assert "█████░" in text
    assert "25 %" in text
    assert "40 of 200" in text
    assert "80 of 1000 requests failed (8.00 %), the limit" in text
    assert "12 s after the last change" in text


def test_a_colour_that_does_not_answer_has_no_figures(view: LiveView) -> None:
    gone = Figures(fault="refused")
    view.look(gone, OLD, judge(gone, OLD), 1.0)
    row = next(line for line in _seen(view) if line.startswith("green"))
    assert "does not answer" in row
    assert "0" not in row


def test_in_a_pipe_a_look_is_a_line_only_when_a_verdict_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines(RELEASE)
    for figures in (OLD, OLD, BAD):
        lines.look(figures, OLD, judge(figures, OLD), 5.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    assert "error_rate fail" in err
    assert "\x1b" not in err
