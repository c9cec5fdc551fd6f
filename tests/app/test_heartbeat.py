from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest

from mina_ops.app.heartbeat import Heartbeat
from mina_ops.errors import StateUnavailable
from tests.support.wait import eventually


@pytest.fixture
def heartbeat() -> Iterator[Heartbeat]:
    made = Heartbeat(0.01)
    yield made
    made.stop()


def test_it_does_not_beat_before_it_is_started(heartbeat: Heartbeat) -> None:
    heartbeat.every_beat("part", lambda now: None)
    assert heartbeat.running is False
    assert heartbeat.beats == 0


def test_parts_beat_in_the_order_in_which_they_were_added(heartbeat: Heartbeat) -> None:
    seen: list[str] = []
    heartbeat.at_start(lambda: seen.append("start"))
    heartbeat.every_beat("first", lambda now: seen.append("first"))
    heartbeat.every_beat("second", lambda now: seen.append("second"))
    heartbeat.start()
    heartbeat.start()
    eventually(lambda: heartbeat.beats >= 2)
    assert seen[:5] == ["start", "first", "second", "first", "second"]


def test_a_part_that_fails_stops_no_other_and_is_logged_once(
    heartbeat: Heartbeat, caplog: pytest.LogCaptureFixture
) -> None:
    beats: list[float] = []

    def broken(now: float) -> None:
        raise ZeroDivisionError

    heartbeat.every_beat("broken", broken)
    heartbeat.every_beat("whole", beats.append)
    heartbeat.start()
    eventually(lambda: len(beats) >= 5)
    assert len([r for r in caplog.records if "broken" in r.getMessage()]) == 1


def test_a_store_that_goes_and_comes_back_is_said_twice(
    heartbeat: Heartbeat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mina_ops.app.heartbeat")
    away = [True]

    def part(now: float) -> None:
        if away[0]:
            raise StateUnavailable("Redis did not serve us.")

    heartbeat.every_beat("presence", part)
    heartbeat.start()
    eventually(lambda: heartbeat.beats >= 3)
    away[0] = False
    eventually(lambda: len(caplog.records) >= 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_poke_beats_at_once() -> None:
    heartbeat = Heartbeat(3600.0)
    heartbeat.start()
    eventually(lambda: heartbeat.beats >= 1)
    heartbeat.poke()
    eventually(lambda: heartbeat.beats >= 2)
    heartbeat.stop()


def test_a_forked_child_starts_a_loop_of_its_own(heartbeat: Heartbeat) -> None:
    heartbeat.start()
    eventually(lambda: heartbeat.beats >= 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        stopped = not heartbeat.running and heartbeat.beats == 0
        heartbeat.start()
        try:
            eventually(lambda: heartbeat.beats >= 2)
            os.write(writer, b"1" if stopped else b"0")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    assert heartbeat.running is True


def test_once_stopped_it_does_not_start_again(heartbeat: Heartbeat) -> None:
    heartbeat.start()
    heartbeat.stop()
    heartbeat.start()
    assert heartbeat.running is False


def test_an_app_that_is_closed_while_its_loop_starts_is_closed(
    heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def close_first(thread: threading.Thread) -> None:
        heartbeat.stop(wait_seconds=1)  # as another thread may, just before this one starts
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", close_first)
    heartbeat.start()
    monkeypatch.undo()
    assert not heartbeat.running
    assert heartbeat.beats == 0
