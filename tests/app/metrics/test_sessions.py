from __future__ import annotations

import logging
import threading

import pytest

from mina_ops.app.metrics import sessions
from mina_ops.app.metrics.sessions import INTERVAL_SECONDS, ActiveSessions
from tests.support.wait import eventually


def test_without_a_callable_there_is_no_count() -> None:
    active = ActiveSessions()
    active.beat(0.0)
    assert active.latest() is None


def test_the_callable_runs_beside_the_beat() -> None:
    active = ActiveSessions()
    runner: list[threading.Thread] = []

    def count() -> int:
        runner.append(threading.current_thread())
        return 7

    active.use(count)
    active.beat(0.0)
    latest = eventually(active.latest, message="a count")
    assert latest[0] == 7
    assert runner != [threading.current_thread()]


def test_a_callable_that_hangs_runs_once_and_holds_up_no_beat() -> None:
    active, release, runs = ActiveSessions(), threading.Event(), []

    def count() -> int:
        runs.append(1)
        release.wait(45)
        return 1

    active.use(count)
    active.beat(0.0)
    eventually(lambda: runs, message="the run")
    for beat in range(1, 100):
        active.beat(beat * INTERVAL_SECONDS)
    # A beat that waited for the run would have seen its end.
    assert active.latest() is None
    assert runs == [1]
    release.set()
    eventually(active.latest, message="the count after all")


def test_a_callable_that_fails_is_logged_once_and_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    active, runs = ActiveSessions(), []

    def count() -> int:
        runs.append(1)
        raise RuntimeError("no such table")

    active.use(count)
    for number in (1, 2):
        active.beat(number * INTERVAL_SECONDS)
        eventually(lambda n=number: len(runs) == n and not active._running, message="a run")
    failures = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(failures) == 1
    assert active.latest() is None


def test_a_count_that_is_too_old_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    active = ActiveSessions()
    active.use(lambda: 3)
    active.beat(0.0)
    eventually(active.latest, message="a count")
    monkeypatch.setattr(sessions, "CURRENT_SECONDS", 0.0)
    assert active.latest() is None
