"""One request a second, in real time: a release that passes, and one that is taken back.

`tests/benchmarks/analysis.py` simulates thousands of these; here are two on real servers.
"""

from __future__ import annotations

import pytest

from tests.operator.release.stand import Stand, ended, traffic
from tests.support.wait import eventually

PLAN = """
[release]
steps = [50, 100]
step_seconds = {step_seconds}
patience_seconds = 300
no_data = "rollback"
health_looks = 1
watch_seconds = 60
drain_grace_seconds = 1
warm_up = ["/"]
[release.triggers]
# Others use this machine; how fast it is today is not what is tried here.
p95_increase_ms = 500
"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


def _one_request_a_second(stand: Stand) -> None:
    """Let blue have had visitors before, as a site has that is not new."""
    with traffic(stand.port, a_second=30) as seen:
        eventually(lambda: sum(seen["status"].values()) >= 120, 60)


def test_at_one_request_a_second_a_good_release_passes_every_share(stand: Stand) -> None:
    stand.plan(PLAN.format(step_seconds=110))
    _one_request_a_second(stand)
    with traffic(stand.port, a_second=1, visitors=1) as seen:
        outcome = ended(stand.start("release", "start", "v2"), 1000)
    assert outcome.code == 0, outcome.err
    assert set(seen["status"]) == {"200"}
    passed = [entry for entry in stand.entries() if "passed" in entry]
    assert len(passed) == 3
    assert all("no_data" not in " ".join(entry["verdicts"]) for entry in passed)


def test_at_one_request_a_second_ten_percent_errors_are_seen_in_the_first_step(
    stand: Stand,
) -> None:
    stand.plan(PLAN.format(step_seconds=600))
    _one_request_a_second(stand)
    stand.faults("green", error_percent=10)
    with traffic(stand.port, a_second=1, visitors=1) as seen:
        outcome = ended(stand.start("release", "start", "v2"), 1000)
    assert outcome.code == 5, outcome.err
    assert "requests failed" in outcome.err
    entries = stand.entries()
    assert [entry["percent"] for entry in entries if entry["event"] == "step"] == [50]
    given = next(entry["at"] for entry in entries if entry["event"] == "step")
    back = next(entry["at"] for entry in entries if entry["phase"] == "rolling_back")
    print(f"taken back after {back - given:.0f} s, {seen['status']}")
    assert back - given < 600
    assert stand.share_of_green() == 0
