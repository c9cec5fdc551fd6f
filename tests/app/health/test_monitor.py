"""One run in flight at most; a run that hangs fails at its deadline, whatever it waits for."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

import pytest

from mina_ops.app.health.fleet import Vouchers
from mina_ops.app.health.model import Check, Rule, Unhealthy
from mina_ops.app.health.monitor import (
    CONFIRM_SECONDS,
    ENOUGH,
    LONGEST_PAUSE_SECONDS,
    Monitor,
)
from tests.support.wait import eventually

ONE = Rule(needed=1, window=1)


class Watched:
    """A monitor that is driven as the heartbeat and the requests drive it."""

    def __init__(self, run: Callable[[], object], rule: Rule = ONE, **options: object) -> None:
        options = {"deadline_seconds": 600.0, "ttl_seconds": 0.01, **options}
        check = Check(name="thing", run=run, **options)  # type: ignore[arg-type]
        self.monitor = Monitor(check, rule, critical=True)

    def beat(self) -> Watched:
        self.monitor.start_if_due()
        return self

    def overdue(self) -> Watched:
        """Let the time be over at which a run that hangs fails, or fails again."""
        self.monitor.settle(self.monitor.overdue_at)
        return self

    def until(self, state: str) -> Watched:
        eventually(lambda: self.beat().monitor.reading.state == state, message=f"not {state}")
        return self


@pytest.mark.parametrize("found", [None, True, {"free_percent": 7}])
def test_a_run_that_returns_is_healthy_and_may_tell_something(found: object) -> None:
    last = Watched(lambda: found).until("healthy").monitor.reading.last
    assert last is not None
    assert last.data == (found if isinstance(found, dict) else {})
    assert last.latency_seconds is not None


def test_false_and_exceptions_are_unhealthy_by_class() -> None:
    def refuse() -> None:
        raise ConnectionRefusedError("host db-7.internal")

    for run, error in ((refuse, "refused"), (lambda: False, "error")):
        last = Watched(run).until("unhealthy").monitor.reading.last
        assert last is not None
        assert last.error == error
        assert last.correlation_id


def test_a_run_over_its_deadline_is_a_timeout_and_none_is_started_beside_it() -> None:
    released, begun = threading.Event(), []

    def hang() -> None:
        begun.append(1)
        released.wait(60)

    watched = Watched(hang, deadline_seconds=0.05).until("unhealthy")
    eventually(lambda: begun, message="the run")
    for _ in range(20):
        watched.beat()
    reading = watched.monitor.reading
    assert (reading.hangs, reading.abandoned, len(begun)) == (True, 1, 1)
    assert reading.last is not None
    assert reading.last.error == "timeout"
    released.set()
    eventually(lambda: not watched.monitor.reading.hangs)
    # The late end is no good result: only the next run is.
    assert watched.monitor.reading.state == "unhealthy"
    watched.until("healthy")
    assert len(begun) >= 2


def test_a_hanging_run_turns_a_healthy_state_though_it_never_ends() -> None:
    released, ways = threading.Event(), iter([lambda: None])
    rule = Rule(needed=2, window=3)
    watched = Watched(lambda: next(ways, lambda: released.wait(60) and None)(), rule)
    watched.until("healthy")
    eventually(lambda: watched.beat().monitor.overdue_at < math.inf, message="the next run")
    assert watched.overdue().monitor.reading.state == "healthy"
    assert watched.overdue().monitor.reading.state == "unhealthy"
    assert (watched.monitor.reading.failures, watched.monitor.reading.abandoned) == (2, 1)
    released.set()
    eventually(lambda: not watched.monitor.reading.hangs)


def test_what_a_run_waits_for_is_broken_once_by_its_cancel() -> None:
    released, cancelled = threading.Event(), []

    def cancel() -> None:
        cancelled.append(1)
        released.set()

    watched = Watched(lambda: released.wait(60) and None, cancel=cancel).beat()
    assert watched.overdue().monitor.reading.state == "unhealthy"
    watched.until("healthy")
    assert cancelled == [1]


def test_a_result_is_kept_for_its_time_to_live() -> None:
    runs: list[int] = []
    watched = Watched(lambda: runs.append(1), ttl_seconds=60.0).until("healthy")
    for _ in range(50):
        watched.beat()
    assert len(runs) == 1


def test_a_contradiction_is_confirmed_sooner_than_the_time_to_live() -> None:
    results = iter([True, False, False])
    watched = Watched(lambda: next(results, False), Rule(needed=2, window=3), ttl_seconds=60.0)
    watched.until("healthy")
    with watched.monitor._lock:  # the run that ended may still say when the next one is due
        watched.monitor._due_at = 0.0
    watched.beat()
    eventually(lambda: watched.monitor.reading.failures == 1)
    reading = watched.monitor.reading
    assert reading.state == "healthy"
    assert reading.last is not None
    with watched.monitor._lock:
        assert watched.monitor._due_at == reading.last.ended + CONFIRM_SECONDS


def test_a_failure_is_logged_once_with_the_id_that_clients_see(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise Unhealthy("secret host name")

    caplog.set_level(logging.INFO, "mina_ops.app.health")
    watched = Watched(fail)
    eventually(lambda: watched.beat().monitor.reading.failures >= 3)
    last = watched.monitor.reading.last
    assert last is not None
    lines = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert len(lines) == 1
    assert last.correlation_id is not None
    assert last.correlation_id in lines[0]
    assert "secret host name" in lines[0]


def test_after_a_fork_nothing_of_the_parents_runs_counts() -> None:
    released = threading.Event()
    watched = Watched(lambda: released.wait(60) and None).beat().overdue()
    assert watched.monitor.reading.state == "unhealthy"
    watched.monitor.reset()
    released.set()
    assert watched.monitor.reading.state == "unknown"
    watched.until("healthy")
    assert watched.monitor.reading.abandoned == 0


def test_a_disabled_check_never_runs() -> None:
    monitor = Monitor(Check(name="thing", run=None), ONE, critical=True)
    monitor.start_if_due()
    assert (monitor.reading.state, monitor.reading.runs) == ("disabled", 0)


class Fleet:
    """A check that few ask, in a fleet of so many processes that are well by it."""

    def __init__(self, processes: int, ttl_seconds: float) -> None:
        self.processes, self.failing, self.fails, self.runs = processes, 0, False, 0
        check = Check(
            name="ai",
            run=self._run,
            ttl_seconds=ttl_seconds,
            deadline_seconds=600.0,
            asked_by_few=True,
        )
        self.monitor = Monitor(check, ONE, critical=True, vouchers=self._vouchers)

    def _vouchers(self, check: Check) -> Vouchers:
        return Vouchers(self.processes - self.failing, self.failing)

    def _run(self) -> None:
        self.runs += 1
        if self.fails:
            raise Unhealthy("away")

    def beat(self) -> int:
        self.monitor.start_if_due()
        return self.runs


def test_in_a_large_fleet_that_is_well_a_process_asks_less_often() -> None:
    # A thousand processes: each asks once in about 1.25 s, instead of every 10 ms.
    fleet = Fleet(1000, ttl_seconds=0.01)
    eventually(lambda: fleet.beat() and fleet.monitor.reading.state == "healthy")
    last = fleet.monitor.reading.last
    assert last is not None
    due, late = last.ended + 0.02, last.ended + 2.0
    assert (fleet.monitor.vouched_by(due), fleet.monitor.vouched_by(late)) == (1000, 0)


def test_a_process_of_its_own_way_asks_at_the_latest_after_five_minutes() -> None:
    fleet = Fleet(1_000_000, ttl_seconds=0.01)
    eventually(lambda: fleet.beat() and fleet.monitor.reading.state == "healthy")
    last = fleet.monitor.reading.last
    assert last is not None
    # Chance spreads these, too: a thousand that were started together shall not ask together.
    assert fleet.monitor.vouched_by(last.ended + LONGEST_PAUSE_SECONDS / 3 - 1) == 1_000_000
    assert fleet.monitor.vouched_by(last.ended + LONGEST_PAUSE_SECONDS) == 0


@pytest.mark.parametrize("processes", [0, 1, ENOUGH])
def test_in_a_small_fleet_or_one_that_nobody_knows_each_asks(processes: int) -> None:
    fleet = Fleet(processes, ttl_seconds=0.01)
    eventually(lambda: fleet.beat() > 3)


def test_all_ask_at_once_when_one_process_fails() -> None:
    fleet = Fleet(100_000, ttl_seconds=0.01)
    eventually(lambda: fleet.beat() and fleet.monitor.reading.state == "healthy")
    runs = fleet.beat()
    fleet.failing, fleet.fails = 1, True
    eventually(lambda: fleet.beat() > runs and fleet.monitor.reading.state == "unhealthy")
    fleet.failing = 0
    runs = fleet.beat()
    eventually(lambda: fleet.beat() > runs, message="what fails is asked, whoever else is well")


def test_who_is_well_while_another_fails_rests_until_one_more_does() -> None:
    fleet = Fleet(100_000, ttl_seconds=0.01)
    eventually(lambda: fleet.beat() and fleet.monitor.reading.state == "healthy")
    for failing in (1, 2):
        fleet.failing, runs = failing, fleet.runs
        eventually(lambda runs=runs: fleet.beat() > runs)  # type: ignore[misc]
        eventually(lambda: fleet.monitor.vouched_by(time.monotonic()))
        runs = fleet.runs
        for _ in range(50):
            time.sleep(0.001)
            fleet.beat()
        assert fleet.runs == runs
    # After it was well again, one that fails counts anew.
    fleet.failing = 0
    fleet.beat()
    fleet.failing, runs = 1, fleet.runs
    eventually(lambda: fleet.beat() > runs)
