"""Requests that do not come as the split says, though the load balancer has it."""

from __future__ import annotations

import pytest

from tests.operator.release.stand import QUICK, Stand, ended, traffic

STEP_SECONDS = 150  # a share is compared when it is two minutes old


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_share_that_the_new_colour_does_not_get_is_paged_once_for_each_share(
    stand: Stand,
) -> None:
    stand.plan(QUICK.replace("step_seconds = 0.3", f"step_seconds = {STEP_SECONDS}"))
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    # Another way in, such as a second load balancer that nobody told us of.
    with traffic(stand.colours["blue"].port, a_second=40):
        outcome = ended(release, 3 * STEP_SECONDS)
    assert outcome.code == 0, outcome.err
    told = [entry["reason"] for entry in stand.entries() if entry.get("notice") == "share"]
    assert all(reason.startswith("green gets 0.0 % of ") for reason in told)
    given = [reason.partition(" requests where it was given ")[2] for reason in told]
    assert given == ["50 %", "100 %"]
