"""Following a drain to its end, whatever the end is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mina_ops.errors import AppUnreachable, DrainForced, DrainTimedOut
from mina_ops.operator.api.answers import DrainStatus
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.draining import ARRIVAL_SECONDS, MARGIN_SECONDS, follow, judge
from tests.operator.stand_in import TOKEN, StandIns


class Clock:
    """A clock that moves when somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def client(apps: StandIns) -> Iterator[AppClient]:
    url = f"http://{apps.instances['blue'][0].address}"
    with AppClient("blue", url, token=TOKEN) as found:
        yield found


def followed(client: AppClient, grace: float = 30) -> list[DrainStatus]:
    clock = Clock()
    return list(follow(client, grace, clock=clock, sleep=clock.sleep))


def test_every_count_is_shown_until_nobody_is_left(client: AppClient, apps: StandIns) -> None:
    apps.fleets["blue"].counts = [247, 247, 156, 78, 23, 5, 0]
    client.begin_drain(30)
    statuses = followed(client)
    assert [status.active_connections for status in statuses] == [247, 156, 78, 23, 5, 0]
    assert [status.state for status in statuses[-2:]] == ["draining", "drained"]


@pytest.mark.parametrize(("arrived", "most_seconds"), [(8, 3), (5, ARRIVAL_SECONDS + 2)])
def test_who_was_sent_away_has_some_seconds_to_arrive_and_is_named(
    client: AppClient, apps: StandIns, arrived: int, most_seconds: float
) -> None:
    late = {"address": "10.0.0.7", "agent": "Firefox", "sessions": 8 - arrived}
    apps.fleets["blue"].counts = [8, 0]
    apps.fleets["blue"].report = {
        "initial": 8,
        "sent_away": 8,
        "arrived": arrived,
        "not_arrived": [late] if arrived < 8 else [],
    }
    client.begin_drain(30)
    clock = Clock()
    last = list(follow(client, 30, clock=clock, sleep=clock.sleep))[-1]
    assert (last.sent_away, last.arrived, last.state) == (8, arrived, "drained")
    assert clock.now < most_seconds
    assert last.not_arrived == (("10.0.0.7 Firefox (3)",) if arrived < 8 else ())


def test_a_drain_that_never_ends_times_out(client: AppClient, apps: StandIns) -> None:
    apps.fleets["blue"].counts = [3]
    client.begin_drain(5)
    clock = Clock()
    with pytest.raises(DrainTimedOut, match="still has 3 live connections"):
        list(follow(client, 5, clock=clock, sleep=clock.sleep))
    assert 5 + MARGIN_SECONDS <= clock.now < 5 + MARGIN_SECONDS + 2


def test_a_cancelled_drain_is_said_to_be_cancelled(client: AppClient, apps: StandIns) -> None:
    with pytest.raises(DrainTimedOut, match="cancelled"):
        followed(client)


def test_a_process_that_has_not_heard_yet_is_no_cancel(client: AppClient, apps: StandIns) -> None:
    clock = Clock()
    statuses = follow(client, 30, clock=clock, sleep=clock.sleep)
    assert next(statuses).state == "serving"
    client.begin_drain(30)
    assert [status.state for status in statuses] == ["drained"]


def test_a_colour_that_is_silent_for_good_ends_the_wait(client: AppClient, apps: StandIns) -> None:
    apps.stop_instance(apps.instances["blue"][0])
    client.close()
    with (
        AppClient("blue", client.url, token=TOKEN) as other,
        pytest.raises(AppUnreachable, match="cannot be reached"),
    ):
        followed(other)


def test_cut_sessions_are_counted_and_named(client: AppClient) -> None:
    with pytest.raises(DrainForced, match=r"2 sessions were cut and 1 holds .*\(audio:7\)"):
        judge(client, DrainStatus("drained", 0, forced=2, unflushed=("audio:7",)))
    judge(client, DrainStatus("drained", 0))
