"""What a small site is told before a release starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mina_ops.operator.release import outlook
from mina_ops.operator.release.plan import Load, Plan
from mina_ops.operator.release.verdicts.model import Figures, Handshakes

PLAN = Plan(folder=Path())


def test_half_a_request_a_second_is_told_in_numbers_what_would_do() -> None:
    quiet = Figures(seconds=900.0, requests=450, handshakes=Handshakes(90))
    errors, p95, handshakes = outlook.lines(PLAN, quiet)
    assert "45 requests (error rate) are needed" in errors
    assert "10 % of the present traffic gives 30 in 600 s" in errors
    would_do = (
        "step_seconds = 900, or steps that begin with 15, or [release.load] per_second = 0.03"
    )
    assert f"What would do: {would_do}." in errors
    assert "requests (P95)" in p95
    assert "WebSocket handshakes" in handshakes
    assert "then pause" in handshakes


def test_a_load_that_is_switched_on_counts_with_what_visitors_bring() -> None:
    quiet = Figures(seconds=900.0, requests=45, handshakes=Handshakes(9))
    few = replace(PLAN, load=Load(per_second=0.05, handshakes_per_second=0.01))
    errors, _, handshakes = outlook.lines(few, quiet)
    assert "10 % of the present traffic and the load gives 33 in 600 s" in errors
    assert "[release.load] per_second = 0.07" in errors
    assert "[release.load] handshakes_per_second = 0.08" in handshakes
    enough = replace(PLAN, load=Load(per_second=0.07, handshakes_per_second=0.08))
    assert outlook.lines(enough, quiet) == []


def test_a_site_that_just_began_is_known_by_its_last_minute() -> None:
    # The app runs since 40 seconds, so that its last 15 minutes say little.
    before = Figures(seconds=900.0, requests=400)
    assert outlook.lines(PLAN, before)
    assert outlook.lines(PLAN, before, Figures(seconds=60.0, requests=400)) == []


def test_a_busy_site_is_told_nothing() -> None:
    busy = Figures(seconds=900.0, requests=45_000, handshakes=Handshakes(4_500))
    assert outlook.lines(PLAN, busy) == []


def test_a_site_without_websockets_is_told_nothing_of_them() -> None:
    assert len(outlook.lines(PLAN, Figures(seconds=900.0, requests=100))) == 2


def test_too_few_gets_for_the_phase_shadow_are_told_with_what_would_do() -> None:
    mirrored = replace(PLAN, shadow_seconds=300.0, shadow_percent=50)
    seen = Figures(seconds=900.0, requests=90_000, reads=((10.0, 90.0),))
    (told,) = outlook.lines(mirrored, seen)
    assert "45 GETs are needed for a pass of shadow; 50 % of the present ones give 15" in told
    assert "a longer shadow_seconds, or [release.load] per_second = 0.15" in told
    assert outlook.lines(mirrored, replace(seen, reads=((10.0, 900.0),))) == []
    assert outlook.lines(PLAN, seen) == []
