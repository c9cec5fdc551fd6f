from __future__ import annotations

import multiprocessing
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import pytest

from mina_ops.app.metrics import fields
from mina_ops.app.metrics.recorder import BOUNDS, MOST_SERIES, MOST_WAITING, Counted, Recorder

OK = ("GET", "/api/sessions", "200 OK")


def requests(counted: Counted) -> float:
    return sum(fields.durations(counted.recent).values())


def total_requests(counted: Counted) -> float:
    return sum(count for _, count in fields.below(counted.total, fields.REQUESTS))


def test_a_request_is_counted_by_duration_and_by_labels() -> None:
    recorder = Recorder()
    recorder.durations[OK].append(0.03)
    counted = recorder.take()
    assert requests(counted) == 1
    assert counted.recent[fields.SECONDS] == pytest.approx(0.03)
    assert fields.ERRORS not in counted.recent
    bound = BOUNDS.index(0.05)
    assert counted.total[f"r:GET:200:{bound}:/api/sessions"] == 1
    assert counted.total["t:GET:200:/api/sessions"] == pytest.approx(0.03)


def test_a_duration_on_a_bound_belongs_to_it() -> None:
    recorder = Recorder()
    for bound in BOUNDS:
        recorder.durations[OK].append(bound)
    total = recorder.take().total
    assert [total[f"r:GET:200:{index}:/api/sessions"] for index in range(len(BOUNDS))] == (
        [1] * len(BOUNDS)
    )


def test_a_server_error_is_an_error_and_a_client_error_is_none() -> None:
    recorder = Recorder()
    for status in ("500 X", "503 X", "404 X", "200 OK"):
        recorder.durations[("GET", None, status)].append(0.01)
    assert recorder.take().recent[fields.ERRORS] == 2


def test_what_was_taken_is_not_given_again() -> None:
    recorder = Recorder()
    recorder.durations[OK].append(0.01)
    recorder.count("w:accepted")
    recorder.take()
    assert recorder.take() == Counted({}, {})


def test_events_are_counted_by_name() -> None:
    recorder = Recorder()
    for _ in range(3):
        recorder.count("w:accepted")
    assert recorder.take() == Counted({"w:accepted": 3}, {"w:accepted": 3})


@pytest.fixture
def eager_switches() -> Iterator[None]:
    """Threads that take turns as often as the interpreter can, to find races."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_lose_nothing_while_another_one_takes(eager_switches: None) -> None:
    recorder, each, threads = Recorder(), 10_000, 8
    taken: list[Counted] = []
    done = threading.Event()

    def take() -> None:
        while not done.is_set():
            taken.append(recorder.take())

    def serve(number: int) -> None:
        for index in range(each):
            recorder.durations[("GET", f"/route/{index % 5}", "200 OK")].append(0.001)
            recorder.count(f"o:{number}:ok")

    taker = threading.Thread(target=take)
    taker.start()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(serve, range(threads)))
    done.set()
    taker.join()
    taken.append(recorder.take())
    assert sum(map(requests, taken)) == threads * each
    assert sum(map(total_requests, taken)) == threads * each
    events: Counter[str] = Counter()
    for counted in taken:
        for number in range(threads):
            events[f"o:{number}:ok"] += int(counted.recent.get(f"o:{number}:ok", 0))
    assert events == {f"o:{number}:ok": each for number in range(threads)}


def test_memory_stays_bounded_when_nobody_takes() -> None:
    recorder = Recorder()
    waiting = recorder.durations[OK]
    for _ in range(5 * MOST_WAITING):
        waiting.append(0.002)
    assert requests(recorder.take()) == MOST_WAITING
    for _ in range(5 * MOST_WAITING):
        recorder.count("w:accepted")
    assert len(recorder._events) < 2000
    assert recorder.take().recent["w:accepted"] == 5 * MOST_WAITING


def test_a_flood_of_methods_and_statuses_makes_few_series() -> None:
    recorder = Recorder()
    taken = []
    for number in range(100_000):
        recorder.durations[f"M{number}", None, f"{number} X"].append(0.001)
        if number % 10_000 == 0:
            taken.append(recorder.take())
    taken.append(recorder.take())
    assert sum(map(requests, taken)) == 100_000
    assert sum(map(total_requests, taken)) == 100_000
    # One odd method, all codes that exist and one for those that do not.
    assert len({name for c in taken for name in c.total if name.startswith(fields.TIME)}) == 501
    assert len(recorder.durations) <= 4 * MOST_SERIES


def test_routes_beyond_the_limit_count_as_other() -> None:
    recorder = Recorder()
    for number in range(MOST_SERIES + 50):
        recorder.durations[("GET", f"/route/{number}", "200 OK")].append(0.001)
    total = recorder.take().total
    assert sum(name.startswith(fields.TIME) for name in total) == MOST_SERIES + 1
    assert total["r:GET:200:0:_OTHER"] == 50


def _count_in_child(recorder: Recorder, pipe: Connection) -> None:
    before = requests(recorder.take())
    recorder.durations[OK].append(0.01)
    pipe.send((before, requests(recorder.take())))


def test_a_forked_child_starts_from_nothing_and_the_parent_keeps_its_own() -> None:
    recorder = Recorder()
    recorder.durations[OK].append(0.01)
    recorder._folding.acquire()  # another thread of the parent is in the middle of its work
    ours, theirs = multiprocessing.Pipe()
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=_count_in_child, args=(recorder, theirs))
    child.start()
    assert ours.poll(10), "the child hangs on the parent's lock"
    assert ours.recv() == (0, 1)
    child.join()
    recorder._folding.release()
    assert requests(recorder.take()) == 1
