"""What a small site is told before a release starts."""

from __future__ import annotations

from pathlib import Path

from mina_ops.operator.release import outlook
from mina_ops.operator.release.plan import Plan
from mina_ops.operator.release.verdicts.model import Figures, Handshakes

PLAN = Plan(folder=Path())


def test_half_a_request_a_second_is_told_in_numbers_what_would_do() -> None:
    quiet = Figures(seconds=900.0, requests=450, handshakes=Handshakes(90))
    errors, p95, handshakes = outlook.lines(PLAN, quiet)
    assert "45 requests (error rate) are needed" in errors
    assert "10 % of the present traffic gives 30 in 600 s" in errors
    assert "step_seconds = 900, or steps that begin with 15" in errors
    assert "requests (P95)" in p95
    assert "WebSocket handshakes" in handshakes
    assert "then pause" in handshakes


def test_a_busy_site_is_told_nothing() -> None:
    busy = Figures(seconds=900.0, requests=45_000, handshakes=Handshakes(4_500))
    assert outlook.lines(PLAN, busy) == []


def test_a_site_without_websockets_is_told_nothing_of_them() -> None:
    assert len(outlook.lines(PLAN, Figures(seconds=900.0, requests=100))) == 2
