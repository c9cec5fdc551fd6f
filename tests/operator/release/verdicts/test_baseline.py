"""What the new colour's durations are compared with, where few requests reach the old one."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

from mina_ops.operator.api.client import AppClient
from mina_ops.operator.release.verdicts.figures import figures, from_json, to_json, with_baseline
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Response
from tests.operator.fixtures import apps
from tests.operator.stand_in import StandIns

__all__ = ["apps"]

_FAST = tuple((1.0 * ms, 10) for ms in range(1, 101))
_NOW = tuple((2.0 * ms, 10) for ms in range(1, 101))
_FEW = ((3.0, 20),)
BEFORE = Figures(seconds=600.0, histogram=_FAST, read_at=1000.0)


def _slower(times: float) -> Figures:
    histogram = tuple((times * ms, count) for ms, count in _FAST)
    return Figures(requests=1000, histogram=histogram)


def test_a_short_window_of_few_requests_is_compared_with_the_whole_step_not_with_earlier() -> None:
    shorter = Figures(seconds=60.0, histogram=_FEW)
    old = Figures(seconds=600.0, histogram=_NOW, recent=(shorter,), read_at=4000.0)
    compared = with_baseline(old, BEFORE)
    assert compared.histogram == compared.recent[0].histogram == _NOW
    assert compared.age_seconds == compared.recent[0].age_seconds == 0.0


def test_without_traffic_it_is_what_was_before_and_says_how_old_that_is() -> None:
    shorter = Figures(seconds=60.0)
    old = Figures(seconds=300.0, recent=(shorter,), read_at=1900.0)
    compared = with_baseline(old, BEFORE)
    assert compared.histogram == compared.recent[0].histogram == _FAST
    # From the middle of ten minutes to the middle of five, or of one.
    assert compared.age_seconds == 900.0 + 150.0
    assert compared.recent[0].age_seconds == 900.0 + 270.0


def test_the_age_survives_a_reboot_since_it_is_told_by_the_apps_clock(apps: StandIns) -> None:
    """The machine's own clocks are in neither figure: it may have booted, or be another one."""
    old = apps.fleets["blue"]
    with closing(AppClient("blue", f"http://{apps.instances['blue'][0].address}")) as client:
        old.metrics["histogram"] = {"generated_at": "2026-03-01T12:00:00.000+00:00"}
        before = figures(client, 600)
        old.metrics["histogram"] = {"generated_at": "2026-03-01T12:15:00.000+00:00"}
        now = figures(client, 600)
        old.metrics["histogram"] = {"generated_at": None}
        untold = figures(client, 600)
    kept = from_json(json.loads(json.dumps(to_json(replace(before, histogram=_FAST)))))
    assert with_baseline(now, kept).age_seconds == 900.0
    # The app was set up anew in between, with a store whose clock is behind.
    assert with_baseline(replace(now, read_at=5.0), kept).age_seconds == 0.0
    assert with_baseline(untold, kept).age_seconds == 0.0


def test_half_an_hour_allows_for_the_time_of_day_and_not_for_three_times_the_p95() -> None:
    now, earlier = replace(BEFORE, requests=1000), replace(BEFORE, age_seconds=1800.0)
    assert judge(_slower(2.0), now).response is Response.GRADUAL
    assert judge(_slower(2.0), earlier).response is Response.NONE
    judgement = judge(_slower(3.0), earlier)
    assert judgement.response is Response.GRADUAL
    assert judgement.reasons == [
        "P95 285 ms against 95 ms 30 min before (+200 %), the limit is +125 %"
    ]


def test_however_old_the_figures_are_four_times_the_p95_goes_back() -> None:
    assert judge(_slower(4.0), replace(BEFORE, age_seconds=1e6)).response is Response.GRADUAL
