from __future__ import annotations

from mina_ops.app.drain.model import Plan
from mina_ops.app.drain.schedule import CATCH_UP_SECONDS, Schedule
from mina_ops.app.sessions.session import Session


class Process:
    """A process's sessions, some of them held or gone."""

    def __init__(self, count: int) -> None:
        self.sessions = [Session(f"s{number}", active_at=float(number)) for number in range(count)]
        self.gone: set[str] = set()
        self.held: set[str] = set()
        self.left: list[str] = []
        self.schedule: Schedule | None = None

    def follow(self, plan: Plan) -> None:
        """Let them leave by this plan."""
        self.schedule = Schedule(
            plan,
            lambda: [s for s in self.sessions if s.sid not in {*self.gone, *self.left}],
            lambda session: session.sid not in self.gone,
            lambda: self.held,
        )

    def at(self, now: float) -> list[str]:
        """Who is let go now."""
        assert self.schedule is not None
        names = [session.sid for session in self.schedule.due(now)]
        self.left += names
        return names

    def until(self, start: float, end: float, step: float = 0.05) -> list[str]:
        """Who is let go by then, asked every `step` seconds."""
        rounds = range(1, round((end - start) / step) + 1)
        return [name for number in rounds for name in self.at(start + number * step)]


def test_the_longest_idle_go_first_and_the_first_at_once() -> None:
    process = Process(5)
    process.follow(Plan(0.0, 10.0))
    assert process.at(0.0) == ["s0"]
    assert process.until(0.0, 10.0) == ["s1", "s2", "s3", "s4"]


def test_who_became_active_while_waiting_goes_later() -> None:
    process = Process(4)
    process.follow(Plan(0.0, 10.0))
    process.sessions[0].active_at = 100.0
    process.sessions[1].running.add(1)
    assert process.at(0.0) + process.until(0.0, 10.0) == ["s2", "s3", "s0", "s1"]


def test_a_held_session_stays_until_its_hold_ends_and_costs_the_others_nothing() -> None:
    process = Process(3)
    process.held = {"s0"}
    process.follow(Plan(0.0, 10.0))
    assert process.at(0.0) == ["s1"]
    assert process.until(0.0, 20.0) == ["s2"]
    process.held = set()
    assert process.at(20.05) == ["s0"]


def test_who_left_by_itself_takes_nobodys_turn() -> None:
    process = Process(3)
    process.follow(Plan(0.0, 10.0))
    process.gone = {"s0"}
    assert process.at(0.0) == ["s1"]


def test_who_came_after_the_plan_was_made_is_let_go_too() -> None:
    process = Process(1)
    process.follow(Plan(0.0, 10.0))
    process.sessions.append(Session("late", active_at=1.0))
    assert process.at(0.0) == ["s0"]
    assert process.until(0.0, 10.05) == ["late"]


def test_a_pause_is_spread_over_the_rest() -> None:
    process = Process(3000)
    process.follow(Plan(0.0, 30.0))
    process.until(0.0, 10.0)
    after = len(process.at(15.0))
    assert 0 < after <= 2000 * CATCH_UP_SECONDS / 15.0 + 2
    second = [len(process.until(15.0 + n, 16.0 + n)) for n in range(14)]
    assert max(second) - min(second) <= 3
    process.until(29.0, 30.0)
    assert len(process.left) == 3000
