from __future__ import annotations

from dataclasses import replace

import pytest

from mina_ops.operator.release.verdicts.figures import (
    from_json,
    of_reads,
    to_json,
    with_baseline,
)
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import (
    Figures,
    Handshakes,
    Judgement,
    NumberTrigger,
    OutcomeTrigger,
    Response,
    Streak,
    Tally,
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
    handshakes=Handshakes(199, 1),
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


def test_a_rate_passes_when_it_is_surely_below_its_limit_and_waits_when_it_may_be_above() -> None:
    below, near = (judge(replace(HEALTHY, errors=n), HEALTHY) for n in (30, 49))
    assert _verdict(below, "error_rate") is Verdict.PASS
    assert _verdict(near, "error_rate") is Verdict.NO_DATA
    assert near.response is Response.NONE


def test_few_requests_that_all_fail_are_enough_for_a_rollback() -> None:
    judgement = judge(replace(HEALTHY, requests=8, errors=8, histogram=()), HEALTHY)
    assert judgement.response is Response.INSTANT


def test_forty_five_requests_without_an_error_pass_and_fewer_say_how_many_are_missing() -> None:
    assert _verdict(judge(replace(HEALTHY, requests=45, errors=0), HEALTHY), "error_rate") is (
        Verdict.PASS
    )
    few = judge(replace(HEALTHY, requests=40, errors=0), HEALTHY)
    finding = next(f for f in few.findings if f.trigger == "error_rate")
    assert finding.verdict is Verdict.NO_DATA
    assert finding.reason.endswith("5 more without one would do")


def test_green_that_fails_entirely_goes_back_though_blue_is_over_its_limit_too() -> None:
    blue = replace(HEALTHY, errors=90)
    green = replace(HEALTHY, requests=200, errors=200)
    assert judge(green, blue).response is Response.INSTANT


def test_an_error_rate_that_the_old_colour_always_had_is_no_news() -> None:
    usual = replace(HEALTHY, requests=20_000, errors=600)
    green = replace(HEALTHY, requests=50, errors=7)
    assert judge(green, usual, before=usual).response is Response.NONE


def test_one_outdated_client_that_tries_for_ever_is_one_failure() -> None:
    looping = replace(HEALTHY, handshakes=Handshakes(255, 0, refused=26, clients=1))
    assert _verdict(judge(looping, HEALTHY), "websocket_success") is Verdict.PASS


def test_a_release_that_no_client_can_speak_to_is_taken_back() -> None:
    deaf = replace(HEALTHY, handshakes=Handshakes(0, 0, refused=90, clients=30))
    assert judge(deaf, HEALTHY).response is Response.GRADUAL


def test_where_clients_are_not_told_apart_their_faults_count_only_if_nobody_gets_in() -> None:
    some = replace(HEALTHY, handshakes=Handshakes(100, 0, refused=50))
    none = replace(HEALTHY, handshakes=Handshakes(0, 0, refused=50))
    assert _verdict(judge(some, HEALTHY), "websocket_success") is Verdict.PASS
    assert judge(none, HEALTHY).response is Response.GRADUAL


def test_websockets_that_nobody_uses_are_no_reason_to_wait() -> None:
    unused = replace(HEALTHY, handshakes=Handshakes(), seconds=900.0)
    assert judge(unused, unused, before=unused).conclusive


def test_a_flood_that_reaches_both_colours_is_no_reason_to_wait_for_more_clients() -> None:
    flooded = replace(HEALTHY, handshakes=Handshakes(200, 0, refused=4000, clients=3))
    few = replace(HEALTHY, handshakes=Handshakes(70, 0, refused=4000, clients=3))
    assert _verdict(judge(few, flooded), "websocket_success") is Verdict.PASS
    # The same clients, and the old colour meets none of them.
    assert _verdict(judge(few, HEALTHY), "websocket_success") is Verdict.NO_DATA


def test_strangers_who_knock_at_a_site_without_websockets_are_no_reason_to_wait() -> None:
    unused = replace(HEALTHY, handshakes=Handshakes(), seconds=900.0)
    flooded = replace(unused, handshakes=Handshakes(0, 0, refused=900, clients=1))
    assert judge(flooded, flooded, before=unused).conclusive
    # A release that brings websockets, which none of its clients can speak to.
    deaf = replace(unused, handshakes=Handshakes(0, 0, refused=90, clients=30))
    assert judge(deaf, unused, before=unused).response is Response.GRADUAL


def test_where_neither_colour_lets_clients_in_the_release_is_held() -> None:
    deaf = replace(HEALTHY, handshakes=Handshakes(0, 0, refused=90, clients=30))
    assert judge(deaf, deaf, before=HEALTHY).response is Response.HOLD


def test_an_outcome_of_the_host_can_take_a_release_back() -> None:
    rules = Triggers(outcomes=(OutcomeTrigger("checkout", "checkout", 98.0),))
    good, bad = (replace(HEALTHY, outcomes={"checkout": Tally(n, 200)}) for n in (0, 40))
    assert judge(good, good, rules).conclusive
    judgement = judge(bad, good, rules)
    assert judgement.response is Response.GRADUAL
    assert judgement.reasons == [
        "40 of 200 attempts at checkout failed (20.00 %), the limit is 2 %"
    ]


def test_an_outcome_that_nobody_records_is_no_reason_to_wait() -> None:
    rules = Triggers(outcomes=(OutcomeTrigger("checkout", "checkout", 98.0),))
    assert judge(HEALTHY, HEALTHY, rules).conclusive


def test_a_number_beyond_its_limit_counts_when_it_stays() -> None:
    rules = Triggers(numbers=(NumberTrigger("queue", command="x", most=500.0),))
    long, short = (replace(HEALTHY, numbers={"queue": n}) for n in (600.0, 10.0))
    streaks: dict[str, Streak] = {}
    for expected in (Response.NONE, Response.NONE, Response.GRADUAL):
        judgement = judge(long, short, rules, streaks)
        streaks = dict(judgement.streaks)
        assert judgement.response is expected
    assert "queue is 600, the most is 500" in judgement.reasons[0]


def test_a_number_far_from_what_it_was_before_holds_where_that_was_asked_for() -> None:
    near = NumberTrigger("sessions", change_percent=50.0, response=Response.HOLD)
    rules = Triggers(numbers=(near,), streak=1)
    few, usual = (replace(HEALTHY, numbers={"sessions": n}) for n in (40.0, 100.0))
    assert judge(few, few, rules, before=usual).response is Response.HOLD
    assert judge(usual, usual, rules, before=usual).conclusive


def test_a_number_that_cannot_be_read_is_neither_a_pass_nor_a_rollback() -> None:
    rules = Triggers(numbers=(NumberTrigger("queue", command="x", most=5.0),))
    unread = replace(HEALTHY, numbers={"queue": "exit code 3"})
    judgement = judge(unread, HEALTHY, rules, {"queue": Streak(50)})
    assert _verdict(judgement, "queue") is Verdict.ERROR
    assert judgement.response is Response.NONE


def test_a_pause_of_one_second_is_no_verdict_on_p95() -> None:
    paused = replace(HEALTHY, seconds=15.0, histogram=(*_FAST[:90], (900.0, 300.0)))
    new, old = (replace(HEALTHY, recent=(recent,)) for recent in (paused, HEALTHY))
    assert judge(new, old).response is Response.NONE


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
    few = replace(HEALTHY, histogram=((50.0, 20), (120.0, 2)))
    assert _verdict(judge(few, HEALTHY), "p95") is Verdict.NO_DATA
    assert _verdict(judge(HEALTHY, few), "p95") is Verdict.NO_DATA


def test_failing_handshakes_ask_for_a_gradual_rollback() -> None:
    judgement = judge(replace(HEALTHY, handshakes=Handshakes(170, 30)), HEALTHY)
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
    few = replace(HEALTHY, requests=20, errors=2, histogram=((9.0, 20),), handshakes=Handshakes())
    assert judge(replace(HEALTHY, recent=(few,)), replace(HEALTHY, recent=(few,))).conclusive


def test_a_late_fault_of_both_colours_is_held_though_few_reach_the_old_one() -> None:
    new = replace(HEALTHY, recent=(replace(HEALTHY, errors=500),))
    old = replace(HEALTHY, recent=(replace(HEALTHY, requests=30, errors=15),))
    assert judge(new, old).response is Response.HOLD


def test_gets_are_compared_with_gets_where_a_site_has_many_fast_posts() -> None:
    gets = ((100.0, 60.0),)
    blue = Figures(requests=3060, histogram=((2.0, 3000.0), *gets), reads=gets)
    copies = ((100.0, 600.0),)
    green = Figures(requests=600, histogram=copies, reads=copies)
    before = replace(blue, seconds=900.0, reads=((100.0, 180.0),))
    assert _verdict(judge(green, blue), "p95") is Verdict.FAIL
    old = with_baseline(of_reads(blue), of_reads(before))
    assert _verdict(judge(of_reads(green), old), "p95") is Verdict.PASS


def test_an_app_that_does_not_tell_gets_apart_is_compared_as_a_whole() -> None:
    older = Figures(requests=3, histogram=((2.0, 3.0),))
    assert of_reads(older) == older
    assert from_json(to_json(older)) == older
    newer = Figures(requests=3, histogram=((2.0, 3.0),), reads=((2.0, 1.0),), recent=(older,))
    assert of_reads(newer).histogram == ((2.0, 1.0),)
    assert from_json(to_json(newer)).reads == newer.reads
