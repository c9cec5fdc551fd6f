from __future__ import annotations

from dataclasses import replace

import pytest

from mina_ops.operator.release.analysis import judge
from mina_ops.operator.release.model import (
    Figures,
    Judgement,
    Response,
    Streak,
    Triggers,
    Verdict,
)

# 1,000 durations, 1 to 100 ms and twice that: P95 is 95 ms and 190 ms.
_FAST = tuple((1.0 * ms, 10) for ms in range(1, 101))
_SLOW = tuple((2.0 * ms, 10) for ms in range(1, 101))

HEALTHY = Figures(
    requests=1000,
    errors=1,
    histogram=_FAST,
    websocket_attempts=200,
    websocket_failures=1,
    database="healthy",
    database_ms=3.0,
    ai="healthy",
)


def _verdict(judgement: Judgement, trigger: str) -> Verdict:
    return next(f.verdict for f in judgement.findings if f.trigger == trigger)


def test_a_healthy_release_passes_every_trigger() -> None:
    judgement = judge(HEALTHY, HEALTHY)
    assert judgement.conclusive
    assert judgement.response is Response.NONE


def test_many_errors_ask_for_an_instant_rollback_and_say_how_many() -> None:
    judgement = judge(replace(HEALTHY, errors=80), HEALTHY)
    assert judgement.response is Response.INSTANT
    assert judgement.reasons == ["80 of 1000 requests failed (8.00 %), the limit is 5 %"]


def test_one_error_among_few_requests_is_no_data_not_ten_percent() -> None:
    judgement = judge(replace(HEALTHY, requests=10, errors=1), HEALTHY)
    assert _verdict(judgement, "error_rate") is Verdict.NO_DATA
    assert judgement.response is Response.NONE
    assert not judgement.conclusive


def test_a_rate_just_under_its_limit_passes() -> None:
    assert _verdict(judge(replace(HEALTHY, errors=49), HEALTHY), "error_rate") is Verdict.PASS


def test_errors_of_both_colours_are_held_not_rolled_back() -> None:
    sick = replace(HEALTHY, errors=80)
    judgement = judge(sick, sick)
    assert judgement.response is Response.HOLD
    assert "the other colour shows it too" in judgement.reasons[0]


def test_a_longer_p95_asks_for_a_gradual_rollback() -> None:
    judgement = judge(replace(HEALTHY, histogram=_SLOW), HEALTHY)
    assert judgement.response is Response.GRADUAL
    assert "P95 190 ms against 95 ms (+100 %)" in judgement.reasons[0]


def test_a_p95_that_grew_by_less_than_anybody_notices_passes() -> None:
    fast, slow = (replace(HEALTHY, histogram=((ms, 5_000.0),)) for ms in (0.8, 1.5))
    judgement = judge(slow, fast)
    finding = next(f for f in judgement.findings if f.trigger == "p95")
    assert (finding.verdict, finding.reason) == (Verdict.PASS, "P95 1.5 ms against 0.8 ms")
    assert judge(slow, fast, Triggers(p95_increase_ms=0.5)).response is Response.GRADUAL


def test_a_p95_without_enough_samples_is_no_data() -> None:
    few = replace(HEALTHY, histogram=((50.0, 90), (500.0, 10)))
    assert _verdict(judge(few, HEALTHY), "p95") is Verdict.NO_DATA
    assert _verdict(judge(HEALTHY, few), "p95") is Verdict.NO_DATA


def test_failing_handshakes_ask_for_a_gradual_rollback() -> None:
    judgement = judge(replace(HEALTHY, websocket_failures=30), HEALTHY)
    assert judgement.response is Response.GRADUAL


@pytest.mark.parametrize(
    ("field", "value", "response"),
    [
        ("database", "unhealthy", Response.INSTANT),
        ("ai", "unhealthy", Response.INSTANT),
        ("database_ms", 800.0, Response.GRADUAL),
    ],
)
def test_a_state_counts_when_it_stays_for_three_looks(
    field: str, value: str | float, response: Response
) -> None:
    sick = replace(HEALTHY, **{field: value})
    first = judge(sick, HEALTHY)
    second = judge(sick, HEALTHY, streaks=first.streaks)
    third = judge(sick, HEALTHY, streaks=second.streaks)
    assert [j.response for j in (first, second, third)] == [Response.NONE, Response.NONE, response]
    assert not first.conclusive


def test_a_slow_check_of_the_database_counts_once_however_often_it_is_seen() -> None:
    streaks: dict[str, Streak] = {}
    responses = []
    for measured_at in (100.0, 100.1, 99.9, 105.0, 104.9, 110.0):
        sick = replace(HEALTHY, database_ms=800.0, database_at=measured_at)
        judgement = judge(sick, HEALTHY, streaks=streaks)
        responses.append(judgement.response)
        streaks = dict(judgement.streaks)
    assert responses == [Response.NONE] * 5 + [Response.GRADUAL]


def test_a_state_that_recovers_starts_to_count_anew() -> None:
    sick = replace(HEALTHY, database="unhealthy")
    second = judge(sick, HEALTHY, streaks=judge(sick, HEALTHY).streaks)
    well = judge(HEALTHY, HEALTHY, streaks=second.streaks)
    assert well.streaks == {}
    assert judge(sick, HEALTHY, streaks=well.streaks).response is Response.NONE


@pytest.mark.parametrize("field", ["database", "ai"])
def test_a_shared_dependency_that_both_colours_lack_is_held(field: str) -> None:
    sick = replace(HEALTHY, **{field: "unhealthy"})
    judgement = judge(sick, sick, streaks={"database": Streak(5), "ai_service": Streak(5)})
    assert judgement.response is Response.HOLD


def test_a_part_that_is_not_used_passes() -> None:
    unused = replace(HEALTHY, database="disabled", database_ms=None, ai="disabled")
    assert judge(unused, unused).conclusive


def test_a_colour_that_stops_answering_is_taken_back_after_three_looks() -> None:
    gone = Figures(fault="connection refused")
    streaks: dict[str, Streak] = {}
    responses = []
    for _ in range(3):
        judgement = judge(gone, HEALTHY, streaks=streaks)
        responses.append(judgement.response)
        streaks = dict(judgement.streaks)
    assert responses == [Response.NONE, Response.NONE, Response.INSTANT]


def test_stale_figures_are_never_a_pass_and_never_a_rollback() -> None:
    stale = replace(HEALTHY, errors=500, stale=True)
    judgement = judge(stale, HEALTHY, streaks={"figures": Streak(50)})
    assert judgement.response is Response.NONE
    assert not judgement.conclusive


def test_the_strongest_response_wins_and_names_its_own_reason() -> None:
    sick = replace(HEALTHY, errors=200, histogram=_SLOW)
    judgement = judge(sick, HEALTHY)
    assert judgement.response is Response.INSTANT
    assert len(judgement.reasons) == 1


def test_limits_can_be_set() -> None:
    strict = Triggers(error_percent=1.0)
    assert judge(replace(HEALTHY, errors=30), HEALTHY, strict).response is Response.INSTANT


def test_a_fault_that_begins_late_is_seen_over_a_short_window() -> None:
    late = replace(HEALTHY, requests=15_000, errors=60, recent=(replace(HEALTHY, errors=80),))
    judgement = judge(late, replace(HEALTHY, recent=(HEALTHY,)))
    assert judgement.response is Response.INSTANT
    assert judgement.reasons == ["80 of 1000 requests failed (8.00 %), the limit is 5 %"]


def test_a_short_window_without_enough_samples_says_nothing() -> None:
    few = replace(HEALTHY, requests=20, errors=2, histogram=((9.0, 20),), websocket_attempts=0)
    assert judge(replace(HEALTHY, recent=(few,)), replace(HEALTHY, recent=(few,))).conclusive


def test_a_late_fault_of_both_colours_is_held_though_few_reach_the_old_one() -> None:
    new = replace(HEALTHY, recent=(replace(HEALTHY, errors=500),))
    old = replace(HEALTHY, recent=(replace(HEALTHY, requests=30, errors=15),))
    assert judge(new, old).response is Response.HOLD
