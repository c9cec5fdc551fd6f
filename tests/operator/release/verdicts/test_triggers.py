"""`[release.triggers]`: what it takes, and what it refuses."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.tables import Table
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.verdicts.triggers import BUSINESS, read


def _read(text: str) -> object:
    return read(Table(Path("mina-ops.toml"), "release.triggers", tomllib.loads(text)))


def test_the_playbooks_business_figures_are_ready_made() -> None:
    table = Table(
        Path("x.toml"), "t", {"business": ["transcription", "ai_insights", "active_sessions"]}
    )
    found = read(table)
    assert [(one.outcome, one.least_percent) for one in found.outcomes] == [
        ("transcription", 98.0),
        ("ai_insights", 95.0),
    ]
    assert [one.name for one in found.numbers] == ["active_sessions"]
    assert set(BUSINESS) == {"transcription", "ai_insights", "active_sessions"}


def test_a_command_a_figure_and_an_outcome_can_be_triggers() -> None:
    text = (
        '[queue]\ncommand = "queue-length"\nmost = 500\nresponse = "hold"\n'
        '[p99]\nfigure = "performance:p99_ms"\nchange_percent = 100\n'
        '[checkout]\noutcome = "checkout"\nleast_percent = 99\n'
    )
    found = read(Table(Path("x.toml"), "t", tomllib.loads(text)))
    queue, p99 = found.numbers
    assert (queue.most, queue.response) == (500.0, Response.HOLD)
    assert p99.figure == "performance:p99_ms"
    assert found.outcomes[-1].least_percent == 99.0


@pytest.mark.parametrize(
    "text",
    [
        '[queue]\ncommand = "x"\n',
        '[queue]\ncommand = "x"\nfigure = "a:b"\nmost = 1\n',
        '[queue]\nfigure = "performance"\nmost = 1\n',
        '[queue]\ncommand = "\'"\nmost = 1\n',
        '[p95]\ncommand = "x"\nmost = 1\n',
        '[queue]\ncommand = "x"\nmost = 1\nresponse = "explode"\n',
        'business = ["nonsense"]\n',
        "zap = 1\n",
    ],
)
def test_what_cannot_be_judged_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        _read(text)
