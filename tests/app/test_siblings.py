"""The workers of one gunicorn answer for each other: its port is ready while one of them is."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gunicorn
import httpx
import psutil
import pytest

from mina_ops.app import settings
from mina_ops.app.siblings import Siblings
from mina_ops.demo.processes import Server
from tests.support.hosts import Hosts
from tests.support.stock import StockClients
from tests.support.wait import eventually

HOST_APP = "tests.app.drain.ending_host:app"


class Worker:
    """What of a gunicorn worker is looked at."""

    max_requests = 10
    ppid = 1
    cfg = SimpleNamespace(workers=2)

    def handle_usr1(self, *_: object) -> None:
        """A handler as gunicorn sets it."""


@pytest.fixture
def _worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a worker of a gunicorn whose temporary folder is empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = signal.signal(signal.SIGUSR1, Worker().handle_usr1)
    yield
    signal.signal(signal.SIGUSR1, before)


def _one(**environment: str) -> Siblings:
    one = Siblings(settings.load({f"MINA_OPS_{k}": v for k, v in environment.items()}))
    one.at_start()
    return one


@pytest.fixture
def pair(_worker: None) -> Iterator[tuple[Siblings, Siblings]]:
    """Two workers. Locks belong to an open file, so one process can hold those of both."""
    both = _one(), _one()
    yield both
    for one in both:
        one.close()


def test_a_worker_that_is_not_ready_hears_of_one_that_is(pair: tuple[Siblings, Siblings]) -> None:
    first, second = pair
    second.beat(is_ready=False)
    assert not second.is_one_ready
    first.beat(is_ready=True)
    second.beat(is_ready=False)
    assert second.is_one_ready
    first.beat(is_ready=False)
    second.beat(is_ready=False)
    assert not second.is_one_ready
    assert not first.is_one_ready


def test_it_never_hears_of_itself_or_of_another_instance(pair: tuple[Siblings, Siblings]) -> None:
    first, _ = pair
    other = _one(INSTANCE="1")
    other.beat(is_ready=True)
    first.beat(is_ready=True)
    first.beat(is_ready=False)
    assert not first.is_one_ready
    other.close()


def test_one_leaves_at_a_time_and_while_another_is_ready(pair: tuple[Siblings, Siblings]) -> None:
    first, second = pair
    assert not first.may_leave()  # nobody else is ready
    for one in pair:
        one.beat(is_ready=True)
    assert first.may_leave()
    assert not second.may_leave()  # it is the other one's turn
    first.close()  # it ended
    assert not second.may_leave()  # its successor is not ready yet
    successor = _one()
    successor.beat(is_ready=True)
    assert second.may_leave()
    successor.beat(is_ready=False)
    successor.close()


def test_who_was_ready_itself_can_ask_for_the_others_at_once(
    pair: tuple[Siblings, Siblings],
) -> None:
    first, second = pair
    first.beat(is_ready=True)
    second.beat(is_ready=True)
    assert not first.is_one_ready, "nobody asked"
    first.look()
    assert first.is_one_ready
    second.beat(is_ready=False)
    assert second.is_one_ready, "the first one holds its lock again"


def test_a_turn_that_does_not_come_is_not_waited_for(
    pair: tuple[Siblings, Siblings], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = pair
    assert not first.may_leave()
    monkeypatch.setattr("mina_ops.app.siblings.TURN_SECONDS", 0.0)
    assert first.may_leave()


def test_what_a_forked_child_copied_outlives_no_worker(pair: tuple[Siblings, Siblings]) -> None:
    first, second = pair
    first.beat(is_ready=True)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # as `multiprocessing` of a host makes one, that goes on alone
        os.read(reading, 1)
        os._exit(0)
    try:
        first.close()

        def hears_of_nobody() -> bool:
            second.beat(is_ready=False)
            return not second.is_one_ready

        eventually(hears_of_nobody)
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


@pytest.mark.usefixtures("_worker")
def test_a_folder_of_somebody_else_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / f"mina_ops-{os.geteuid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    lonely = _one()
    assert "cannot know each other" in caplog.text
    lonely.beat(is_ready=True)
    assert lonely.may_leave()
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("_worker")
def test_files_of_a_gunicorn_that_is_no_more_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / f"mina_ops-{os.geteuid()}"
    folder.mkdir(mode=0o700)
    gone = subprocess.Popen(["true"])
    gone.wait()
    (folder / f"{gone.pid}-mina-blue-0.ready").touch()
    (folder / "notes.txt").touch()
    _one().close()
    assert sorted(path.name for path in folder.iterdir()) == [
        "1-mina-production-0.ready",
        "1-mina-production-0.turn",
        "notes.txt",
    ]


class Balancer:
    """Asks `ready` as a load balancer does, over a new connection each time, and a page too."""

    def __init__(self, host: Server) -> None:
        self._host = host
        self.unready: list[dict[str, Any]] = []
        self.pages: list[int] = []
        self.cut: list[str] = []
        self.warnings: set[str] = set()

    def ask(self) -> None:
        """Look once."""
        answer = httpx.get(f"{self._host.url}/api/health/ready", timeout=30)
        self.warnings.update(answer.json().get("warnings", ()))
        if answer.status_code != 200:
            self.unready.append(answer.json())
        self.pages.append(httpx.get(f"{self._host.url}/pid", timeout=30).status_code)


@contextmanager
def _watched(host: Server) -> Iterator[Balancer]:
    balancer, over = Balancer(host), threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                balancer.ask()
            except (httpx.RemoteProtocolError, httpx.ReadError) as error:
                balancer.cut.append(repr(error))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield balancer
    finally:
        over.set()
        watcher.join()
    # As max_requests ends a worker, gunicorn 23 may close a connection that it has just accepted.
    assert balancer.cut == [] or gunicorn.version_info < (24,)


def _host(start_host: Hosts, redis_url: str, worker: str, **more: Any) -> Server:
    environment = {"REDIS_URL": redis_url, "MINA_OPS_BEAT": "0.2"}
    host = start_host(HOST_APP, worker=worker, environment=environment, **more)
    pids: set[str] = set()

    def all_serve() -> bool:
        with suppress(httpx.HTTPError):
            pids.add(httpx.get(f"{host.url}/pid", timeout=5).text)
        ready = httpx.get(f"{host.url}/api/health/ready", timeout=5).status_code == 200
        return ready and len(pids) >= more.get("workers", 1)

    eventually(all_serve, 30, ignoring=(httpx.HTTPError,))
    return host


def _one_with_clients(host: Server) -> int:
    def found() -> int:
        told = httpx.get(f"{host.url}/api/metrics/connections", timeout=5).json()
        counts = {name.split(":")[2]: count for name, count in told["by_process"].items()}
        return int(max(counts, key=counts.__getitem__)) if sum(counts.values()) >= 4 else 0

    return eventually(found, 10)


def _workers(host: Server) -> set[int]:
    return {child.pid for child in psutil.Process(host.pid).children()}


# As a gthread worker of gunicorn 23 ends, it closes connections that it has just accepted, without
# us as well: what is marked `once` runs with newer ones only.
@pytest.mark.parametrize("worker", [pytest.param("gthread", marks=pytest.mark.once), "eventlet"])
def test_the_port_stays_ready_while_its_workers_are_recycled(
    start_host: Hosts, redis_url: str, worker: str
) -> None:
    options = ["--max-requests", "30"]
    host = _host(start_host, redis_url, worker, workers=2, options=options)
    seen = _workers(host)

    def all_replaced() -> bool:
        seen.update(_workers(host))
        return len(seen) >= 4

    with _watched(host) as balancer:
        eventually(all_replaced, 60)
    assert balancer.unready == []
    assert set(balancer.pages) == {200}


@pytest.mark.once
def test_a_lone_worker_stays_ready_until_it_is_replaced(start_host: Hosts, redis_url: str) -> None:
    host = _host(start_host, redis_url, "gthread", options=["--max-requests", "60"])
    first = _workers(host)
    with StockClients() as clients, _watched(host) as balancer:
        clients.connect(host.url, "websocket")  # somebody to hand over, so that it takes a while
        eventually(lambda: first.isdisjoint(_workers(host)) and _workers(host), 60)
    # Its successor has nobody who could answer for it until its first checks are over.
    assert [told["reasons"] for told in balancer.unready if told["reasons"] != ["starting"]] == []
    assert any("about to put another in its place" in told for told in balancer.warnings)
    assert set(balancer.pages) == {200}


def test_one_worker_that_gets_sigterm_does_not_speak_for_the_port_and_all_of_them_do(
    start_host: Hosts, redis_url: str
) -> None:
    host = _host(start_host, redis_url, "gthread", workers=2, threads=16)

    def says_that_it_ends() -> bool:
        answer = httpx.get(f"{host.url}/api/health/ready", timeout=5)
        return answer.status_code == 503 and answer.json()["reasons"] != ["starting"]

    with StockClients() as clients:
        for _ in range(4):
            clients.connect(host.url, "websocket")
        with _watched(host) as balancer:
            os.kill(_one_with_clients(host), signal.SIGTERM)
            eventually(lambda: any("another one that" in told for told in balancer.warnings), 20)
        assert balancer.unready == []
        host.process.send_signal(signal.SIGTERM)
        eventually(says_that_it_ends, 20, ignoring=(httpx.HTTPError,))
