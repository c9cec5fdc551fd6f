"""Many processes that start together ask few questions of what they share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event

from mina_ops import MinaOps
from mina_ops.app.health import permits
from mina_ops.app.health.model import Check, Result, Rule
from mina_ops.app.health.monitor import Monitor
from mina_ops.app.health.permits import PERMITS, Site, Wait
from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.state.redis import RedisStore
from mina_ops.demo.openai_standin import OpenAIStandIn
from tests.support.wait import eventually

PROCESSES = 30
CHECK = Check(name="ai", run=lambda: None, ttl_seconds=60.0, asked_by_few=True)
BEAT_SECONDS = 0.2


class CountingStandIn(OpenAIStandIn):
    """Counts each call, to any path."""

    calls = 0

    def admit(self, path: str) -> int:
        """As the base does."""
        self.calls += 1
        return super().admit(path)


class Process:
    """An app as a process of its own would have it, and how often it connected to the database."""

    def __init__(self, number: int, **config: Any) -> None:
        self.connects = 0
        self.app = Flask(f"process-{number}")
        self.app.config.update({"MINA_OPS_INSTANCE": str(number), **config})
        database = SQLAlchemy(self.app)
        with self.app.app_context():
            event.listen(database.engine, "connect", self._connected)
        self.ops = MinaOps(self.app, db=database)

    def _connected(self, *_: object) -> None:
        self.connects += 1

    def is_ready(self) -> bool:
        return self.app.test_client().get("/api/health/ready").status_code == 200

    def check(self, name: str) -> dict[str, Any]:
        body = self.app.test_client().get(f"/api/health/{name}").get_json(force=True)
        assert isinstance(body, dict)
        return body


Start = Callable[..., list[Process]]


@pytest.fixture
def start(own_redis: Any, database_url: str) -> Iterator[Start]:
    """Starts so many processes at once: `start(number, SOME_KEY=value)`."""
    made: list[Process] = []

    def start(number: int, **config: Any) -> list[Process]:
        config = {"SQLALCHEMY_DATABASE_URI": database_url, "REDIS_URL": own_redis.url, **config}
        begun = [Process(len(made) + n, **config) for n in range(number)]
        made.extend(begun)
        threads = [threading.Thread(target=process.is_ready) for process in begun]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return begun

    yield start
    for process in made:
        process.ops.close()


def _all_ready(processes: list[Process]) -> bool:
    return all(process.is_ready() for process in processes)


def test_thirty_that_start_at_once_ask_the_database_and_the_ai_service_a_few_times(
    start: Start,
) -> None:
    with CountingStandIn() as standin:
        service = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": standin.base_url}
        # The start is the subject: nobody asks again until all have begun.
        fleet = start(PROCESSES, MINA_OPS_HEALTH_INTERVAL=60, **service)
        eventually(lambda: _all_ready(fleet), 30)
        assert sum(process.connects for process in fleet) <= 2 * PERMITS
        assert standin.calls <= 2 * PERMITS
        told = [process.check("db") for process in fleet]
    assert {body["status"] for body in told} == {"connected"}
    # Those that took an answer say so, also after they know of each other.
    assert sum("vouched_by" in body for body in told) >= PROCESSES - 2 * PERMITS


def test_a_process_with_a_wrong_login_is_vouched_for_by_nobody(
    start: Start, database_url: str
) -> None:
    eventually(lambda: _all_ready(start(1)), 20)
    (wrong,) = start(1, SQLALCHEMY_DATABASE_URI=database_url.replace("mina@", "nobody@"))
    eventually(lambda: wrong.check("db")["status"] == "disconnected", 20)
    assert not wrong.is_ready()


def test_turns_of_killed_processes_delay_nobody_for_good(own_redis: Any, start: Start) -> None:
    store = RedisStore.from_url(own_redis.url, timeout_seconds=5)
    for number in range(PERMITS):
        # As a process leaves them that is stopped in the middle: this one never gives them back.
        for check in ("database", "openai"):
            assert store.put_new(keys.check_permit("blue", check, number), b"dead", ttl_seconds=600)
    fleet = start(3, ENVIRONMENT="blue", MINA_OPS_BEAT=BEAT_SECONDS)
    eventually(lambda: _all_ready(fleet), 20)
    store.close()


def test_without_the_store_each_asks_for_itself(own_redis: Any, start: Start) -> None:
    url = own_redis.url
    own_redis.kill()
    fleet = start(3, REDIS_URL=url)
    eventually(lambda: all(p.check("db")["status"] == "connected" for p in fleet), 20)
    assert all(process.connects for process in fleet)


def _wait(
    store: Any, name: str, *, vantage: str = "w", takes_answers: bool = True, check: Check = CHECK
) -> Wait:
    identity = Identity("blue", "v1", name, ("blue", "green"), token=name)
    site = Site(store, identity, vantage, BEAT_SECONDS)
    return Wait(site, check, takes_answers=takes_answers)


def _result() -> Result:
    return Result(ok=True, ended=0.0, latency_seconds=0.01, data={"source": "models"})


def test_an_answer_is_taken_on_the_same_way_alone() -> None:
    store = MemoryStore()
    first = _wait(store, "a")
    assert first.answer_or_permit() is None
    first.end(_result())
    taken = _wait(store, "b").answer_or_permit()
    assert taken is not None
    assert (taken.is_of_other, taken.data, taken.ended) == (True, {"source": "models"}, 0.0)
    assert _wait(store, "c", vantage="other").answer_or_permit() is None
    assert _wait(store, "d", takes_answers=False).answer_or_permit() is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"ended": 1}', b'{"ended": [], "data": 3}'])
def test_an_answer_that_nobody_understands_is_none(raw: bytes) -> None:
    store = MemoryStore()
    store.put(keys.check_answer("blue", "ai", "w"), raw)
    wait = _wait(store, "a")
    assert wait.answer_or_permit() is None
    # What this one tells cannot be written either: nothing happens.
    wait.end(replace(_result(), data={(1, 2): "x"}))  # type: ignore[dict-item]
    assert store.get(keys.check_answer("blue", "ai", "w")) == raw
    assert store.get(keys.check_permit("blue", "ai", 0)) is None


def test_a_failure_is_told_to_nobody_and_the_turn_is_given_back() -> None:
    store = MemoryStore()
    for number in range(3 * PERMITS):
        wait = _wait(store, str(number))
        assert wait.answer_or_permit() is None
        wait.end(Result(ok=False, ended=0.0, error="refused"))
    held = [keys.check_permit("blue", "ai", number) for number in range(PERMITS)]
    assert store.get_all(held) == {}


def test_a_turn_that_is_not_given_back_lapses_after_two_beats() -> None:
    store, began = MemoryStore(), time.monotonic()
    for number in range(PERMITS):
        assert _wait(store, str(number)).answer_or_permit() is None
    held = [keys.check_permit("blue", "ai", number) for number in range(PERMITS)]
    assert len(store.get_all(held)) == PERMITS
    eventually(lambda: not store.get_all(held), 20)
    assert time.monotonic() - began >= 2 * BEAT_SECONDS


class _Hanging(MemoryStore):
    """A store whose name nobody resolves: a call ends when the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = threading.Event()

    def get(self, key: str) -> bytes | None:
        self.ends.wait(60)
        return super().get(key)


def test_who_waits_for_a_store_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permits, "_SILENT_SECONDS", 0.0)
    store, runs = _Hanging(), []  # type: ignore[var-annotated]
    check = replace(CHECK, run=lambda: runs.append(1), ttl_seconds=0.001)
    monitor = Monitor(
        check, Rule(), critical=True, permits=lambda check, _: _wait(store, "a", check=check)
    )
    eventually(lambda: monitor.start_if_due() or len(runs) == 5, 20)
    assert monitor.reading.state == "healthy"
    # One thread hangs in the store, however often it asked since; one may have a run.
    assert len(_threads()) <= 2
    store.ends.set()
    # The one that was left behind gives its permit back, and asks nothing.
    eventually(lambda: not _threads(), 20)
    permit = [keys.check_permit("blue", "ai", number) for number in range(PERMITS)]
    assert (len(runs), store.get_all(permit)) == (5, {})


def _threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "mina_ops-check-ai"]


def test_an_answer_makes_a_check_healthy_without_a_run() -> None:
    store, runs = MemoryStore(), []  # type: ignore[var-annotated]
    first = _wait(store, "a")
    assert first.answer_or_permit() is None
    first.end(replace(_result(), ended=time.monotonic()))
    check = replace(CHECK, run=lambda: runs.append(1))
    monitor = Monitor(check, Rule(), critical=True, permits=lambda check, _: _wait(store, "b"))
    eventually(lambda: monitor.start_if_due() or monitor.reading.state == "healthy", 20)
    last = monitor.reading.last
    assert last is not None
    assert (last.is_of_other, runs, monitor.vouched_by(last.ended)) == (True, [], 1)
    # Its own time to live is over with that of the answer, not later.
    assert monitor.vouched_by(last.ended + CHECK.ttl_seconds) == 0
