"""A split that somebody else changed, past every lock, while a release watches its own."""

from __future__ import annotations

import time

from mina_ops.operator.traffic.model import Split
from tests.operator.release.stand import QUICK, Stand, ended
from tests.support.wait import eventually

STEP_SECONDS = 3.0


def notices(stand: Stand) -> list[tuple[str, str]]:
    return [(e["notice"], e["reason"]) for e in stand.entries() if "notice" in e]


def test_a_foreign_split_holds_the_release_and_pages_until_it_is_taken_back(stand: Stand) -> None:
    stand.plan(QUICK.replace("step_seconds = 0.3", f"step_seconds = {STEP_SECONDS}"))
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    stand.driver.apply(Split({"blue": 90, "green": 10}))
    told = ("hold", "somebody else moved traffic: blue 90 %, green 10 %")
    eventually(lambda: told in notices(stand), 30)
    given = next(entry["at"] for entry in stand.entries() if entry.get("applied") == 50)
    eventually(lambda: time.time() > given + STEP_SECONDS + 1)
    # Its time is up; without the hold it would have given the next share.
    assert release.poll() is None
    assert stand.share_of_green() == 10
    stand.driver.apply(Split({"blue": 50, "green": 50}))
    outcome = ended(release)
    assert outcome.code == 0, outcome.err
    assert [notice for notice, _ in notices(stand)].count("hold") == 1
    assert ("over", "traffic no longer holds the release") in notices(stand)
    assert stand.share_of_green() == 100
