"""What a person sees of the release that this terminal runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mina_ops.cli.release_view import Lines, Recent
from mina_ops.cli.release_watch import LINES_SHOWN
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Handshakes

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
BAD = replace(OLD, errors=80)


def test_the_last_lines_of_a_hook_stay_and_no_more() -> None:
    recent = Recent()
    for number in range(20):
        recent.output(Phase.SMOKE, f"line {number}")
    assert len(recent.lines) == LINES_SHOWN
    assert recent.lines[-1].endswith("smoke| line 19")


def test_in_a_pipe_a_look_is_a_line_only_when_a_verdict_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines()
    for figures in (OLD, OLD, BAD):
        lines.look(figures, OLD, judge(figures, OLD), 5.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    assert "error_rate fail" in err
    assert "\x1b" not in err
