"""A site without a single visitor, released with a load of the release's own."""

from __future__ import annotations

import httpx
import pytest

from mina_ops.operator.release.load import _shake_hands
from tests.operator.release.stand import QUICK, Stand
from tests.operator.release.standing import Standing
from tests.support.wait import eventually

# Without the load nothing could be judged, and the release would be taken back.
QUIET = (
    QUICK.replace("steps = [50, 100]", "steps = [100]")
    .replace("step_seconds = 0.3", "step_seconds = 6")
    .replace("watch_seconds = 0.3", "watch_seconds = 6")
    .replace("patience_seconds = 0", "patience_seconds = 30")
    .replace('no_data = "continue"', 'no_data = "rollback"')
)
LOAD = """
[release.load]
per_second = 20
handshakes_per_second = 12
"""


@pytest.fixture
def stand(standing: Standing) -> Stand:
    """A stand of its own, which nobody has visited yet."""
    standing.stop()
    return standing.settled()


def test_a_site_without_visitors_is_judged_by_the_load_that_it_switches_on(stand: Stand) -> None:
    blue = stand.colours["blue"].url
    with httpx.Client(base_url=blue, timeout=10) as http:
        _shake_hands(http)
        eventually(lambda: http.get("/api/metrics/websockets").json()["accepted"], 10)
    stand.plan(QUIET + LOAD)
    dry = stand.run("release", "start", "v2", "--dry-run").out
    assert "meanwhile send 20 requests a second to each colour" in dry
    outcome = stand.run("release", "start", "v2")
    assert outcome.code == 0, outcome.err
    passed = [entry for entry in stand.entries() if "passed" in entry]
    assert len(passed) == 2
    for entry in passed:
        verdicts = " ".join(entry["verdicts"])
        assert "p95: P95" in verdicts
        assert "WebSocket handshakes failed (0.00 %)" in verdicts
        assert "nobody connects" not in verdicts


def test_a_load_that_is_asked_for_on_the_command_line_is_for_this_release(stand: Stand) -> None:
    dry = stand.run("release", "start", "v2", "--dry-run", "--load", "3").out
    assert "meanwhile send 3 requests a second to each colour" in dry
    assert "meanwhile send" not in stand.run("release", "start", "v2", "--dry-run").out
