"""A release beside a flood of anonymous requests of every kind: no verdict changes.

Sound green passes on what its visitors met, bad green is taken back for what is wrong with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.operator.release.stand import QUICK, Stand, ended, traffic
from tests.security.flood import KINDS
from tests.support.hosts import REPOSITORY
from tests.support.wait import eventually

PER_SECOND = 240
# A busy machine answers later; that it was as much as its visitors send is what counts.
ANSWERED = 90
VISITORS_PER_SECOND = 90
SENDERS = 2
LONGEST_SECONDS = 600.0
# What is not known takes green back here, and the flood's load on this machine does not.
PLAN = (
    QUICK.replace("step_seconds = 0.3", "step_seconds = {step_seconds}")
    .replace("watch_seconds = 0.3", "watch_seconds = {step_seconds}")
    .replace("patience_seconds = 0", "patience_seconds = 60")
    .replace('no_data = "continue"', 'no_data = "rollback"')
)


@contextmanager
def flood(port: int) -> Iterator[None]:
    """While the body runs; at least as many a second were answered then as visitors sent."""
    argv = [sys.executable, "-m", "tests.benchmarks._senders", str(port), ",".join(KINDS)]
    argv += [str(PER_SECOND / SENDERS), str(LONGEST_SECONDS)]
    senders = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        for _ in range(SENDERS)
    ]
    try:
        yield
    finally:
        for sender in senders:
            sender.terminate()
        told = [json.loads(sender.communicate()[0]) for sender in senders]
    print(json.dumps(told))
    assert sum(one["answered"] / one["seconds"] for one in told) > ANSWERED


@pytest.mark.parametrize(
    "step_seconds", [1, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_sound_green_passes(stand: Stand, step_seconds: float) -> None:
    stand.plan(PLAN.format(step_seconds=step_seconds))
    with flood(stand.port), traffic(stand.port, a_second=VISITORS_PER_SECOND) as seen:
        eventually(lambda: sum(seen["status"].values()) > 100, 30)
        outcome = stand.run("release", "start", "v2")
    assert outcome.code == 0, outcome.err
    assert stand.share_of_green() == 100
    assert set(seen["status"]) == {"200"}


@pytest.mark.parametrize(
    ("fault", "trigger", "reason"),
    [
        pytest.param(
            {"error_percent": 20.0},
            "p95_increase_ms = 60000",
            "requests failed",
            marks=pytest.mark.long,
        ),
        pytest.param({"slow_ms": 400.0}, "p95_increase_ms = 150", "P95", marks=pytest.mark.long),
        pytest.param(
            {"unready": 1.0}, "p95_increase_ms = 60000", "not ready", marks=pytest.mark.long
        ),
    ],
)
def test_bad_green_is_taken_back_for_what_is_wrong_with_it(
    stand: Stand, fault: dict[str, float], trigger: str, reason: str
) -> None:
    plan = PLAN.format(step_seconds=40)
    stand.plan(plan.replace("p95_increase_ms = 60000", trigger))
    with flood(stand.port), traffic(stand.port, a_second=VISITORS_PER_SECOND, visitors=20):
        release = stand.start("release", "start", "v2")
        stand.until_given(50)
        stand.faults("green", **fault)
        outcome = ended(release)
    assert outcome.code == 5, outcome.err
    assert reason in outcome.err
    assert stand.share_of_green() == 0
