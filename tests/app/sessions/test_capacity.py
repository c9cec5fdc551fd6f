from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from mina_ops.app.sessions.capacity import Capacity, most_sessions
from mina_ops.app.settings import Settings
from mina_ops.app.worker import connection_limit, gunicorn_worker


@pytest.mark.parametrize(
    ("chosen", "limit", "reserve", "most"),
    [
        (None, None, 4, math.inf),
        (None, 1000, 4, 996),
        (None, 6, 4, 3),
        (50, 1000, 4, 50),
        (50, None, 4, 50),
        (None, 1, 4, 1),
    ],
)
def test_the_reserve_takes_at_most_half_of_the_servers_limit(
    chosen: int | None, limit: int | None, reserve: int, most: float
) -> None:
    assert most_sessions(chosen, limit, reserve) == most


def test_a_full_process_refuses_with_retry_after() -> None:
    taken = 1
    capacity = Capacity(Settings(max_connections=2), lambda: taken, "threading")
    assert capacity.admit({}) is None
    taken = 2
    refused = capacity.admit({})
    assert refused is not None
    reason, answer = refused
    assert (reason, answer.status, answer.headers["Retry-After"]) == ("full", 503, "2")


class Worker:
    """What of a gunicorn worker we look at."""

    max_requests = 10
    cfg = SimpleNamespace(worker_connections=1000, threads=8)

    def handle_usr1(self, *_: object) -> None:
        """A handler as gunicorn sets it."""


@pytest.fixture
def worker() -> Iterator[Worker]:
    one = Worker()
    before = signal.signal(signal.SIGUSR1, one.handle_usr1)
    yield one
    signal.signal(signal.SIGUSR1, before)


def test_gunicorns_worker_is_found_through_any_signal_that_it_handles(worker: Worker) -> None:
    assert gunicorn_worker() is worker


@pytest.mark.parametrize(("mode", "limit"), [("threading", 8), ("gevent", 1000)])
def test_a_websocket_takes_a_thread_or_a_connection(mode: str, limit: int, worker: Worker) -> None:
    assert connection_limit(mode) == limit


def test_without_gunicorn_there_is_no_limit_to_read() -> None:
    assert gunicorn_worker() is None
    assert connection_limit("threading") is None
