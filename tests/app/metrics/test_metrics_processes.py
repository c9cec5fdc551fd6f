"""What metrics say of real processes: any server, any number of workers, any death."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

import httpx
import pytest

from mina_ops.demo.processes import Server
from tests.app.flags.flagging import PATIENT
from tests.support.hosts import Hosts
from tests.support.needs import available_workers
from tests.support.wait import eventually

HOST = "tests.app.metrics.host:app"
DIGITS_TO_LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")
WORKERS = [name for name in available_workers() if name != "sync"]
# The same within what a histogram's buckets are exact to.
NEARLY = 0.98


def blue(redis_url: str, **more: str) -> dict[str, str]:
    own = {"ENVIRONMENT": "blue", "REDIS_URL": redis_url, "MINA_OPS_BEAT": "0.2"}
    return {**own, **PATIENT, **more}


def get(host: Server, path: str) -> httpx.Response:
    return httpx.get(f"{host.url}{path}", timeout=45)


def has_lasted(milliseconds: float, least: float, since: float) -> bool:
    """Whether what was counted lasted so long at least, and no longer than since it began."""
    most = 1000 * (time.perf_counter() - since)
    return NEARLY * least <= milliseconds <= most / NEARLY


def ask(host: Server, path: str) -> dict[str, Any]:
    answer = get(host, f"/api/metrics/{path}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def await_samples(host: Server, samples: int, path: str = "errors") -> dict[str, Any]:
    last: dict[str, Any] = {}

    def full() -> bool:
        last.update(ask(host, path))
        return last["samples"] == samples

    eventually(full, 10, f"{samples} samples in {path}; {last}")
    return last


def ask_all(host: Server, number: int, path: str = "/works/1") -> set[str]:
    """Request a path many times, each over a connection of its own; the bodies that came."""
    return {get(host, path).text for _ in range(number)}


@pytest.mark.parametrize("worker", WORKERS)
def test_every_server_counts_durations_errors_and_outcomes(
    start_host: Hosts, redis_url: str, worker: str
) -> None:
    host = start_host(HOST, worker=worker, environment=blue(redis_url))
    began = time.perf_counter()
    with httpx.Client(base_url=host.url, timeout=45) as client:
        for _ in range(3):
            assert client.get("/works/1").status_code == 200
        assert client.get("/fails").status_code == 500
        assert client.get("/no/such").status_code == 404
        assert client.get("/slow/200").status_code == 200
        client.get("/outcome/transcription/ok")
        client.get("/outcome/transcription/bad")
        client.get("/outcome/transcription/raises")
        client.get("/socket.io/?EIO=4&transport=polling")
        client.get("/api/health/live")
    body = await_samples(host, 9)
    assert (body["errors_5min"], body["error_rate_5min"]) == (1, round(100 / 9, 4))
    slowest, _ = ask(host, "histogram")["histogram_ms"][-1]
    assert has_lasted(slowest, 200, began)
    done = await_samples(host, 3, "transcriptions/completion_rate")
    assert done["completion_rate"] == pytest.approx(33.3333)
    assert await_samples(host, 1, "sessions/active")["active_sessions"] == 3


@pytest.mark.parametrize("worker", [name for name in WORKERS if name != "socketio.run"])
def test_several_processes_give_one_answer(start_host: Hosts, redis_url: str, worker: str) -> None:
    options = ["--preload"] if worker == "gthread" else []
    host = start_host(HOST, worker=worker, workers=3, environment=blue(redis_url), options=options)
    pids: list[str] = []

    def all_answer() -> bool:
        pids.extend(get(host, "/works/1").text for _ in range(20))
        return len(set(pids)) == 3

    eventually(all_answer, 10, "every worker to answer")
    for _ in range(6):
        body = await_samples(host, len(pids))
    eventually(lambda: ask(host, "errors")["reporters"] == 3, message="all report")
    assert body["error_rate_5min"] == 0.0


def test_a_killed_process_takes_nothing_with_it_and_leaves_no_ghost(
    start_host: Hosts, redis_url: str
) -> None:
    environment = blue(redis_url, MINA_OPS_PRESENCE_TTL="1.2")
    host = start_host(HOST, workers=2, environment=environment)
    pids = ask_all(host, 40)
    await_samples(host, 40)
    eventually(lambda: ask(host, "errors")["reporters"] == 2, message="both report")
    victim = int(pids.pop())
    # Hold the arbiter, so that no new worker takes the dead one's place.
    os.kill(host.pid, signal.SIGSTOP)
    os.kill(victim, signal.SIGKILL)
    eventually(
        lambda: ask(host, "errors")["reporters"] == 1,
        message="the dead one to go",
        ignoring=(httpx.TransportError,),
    )
    assert ask(host, "errors")["samples"] == 40
    assert get(host, "/metrics").text.count("_count{") == 1
    os.kill(host.pid, signal.SIGCONT)


def test_a_process_that_ends_in_order_stores_its_last_second(
    start_host: Hosts, redis_url: str
) -> None:
    leaving = start_host(HOST, environment=blue(redis_url, MINA_OPS_BEAT="5"))
    ask_all(leaving, 10)
    os.kill(leaving.pid, signal.SIGTERM)
    # Not `stop`, which kills what is slow to end.
    eventually(lambda: not leaving.alive, 10, "the process to end")
    staying = start_host(HOST, environment=blue(redis_url))
    await_samples(staying, 10)


def test_either_colour_answers_for_the_other(start_host: Hosts, redis_url: str) -> None:
    hosts = [
        start_host(HOST, environment=blue(redis_url, ENVIRONMENT=colour, ACTIVE_SESSIONS=count))
        for colour, count in (("blue", "5"), ("green", "9"))
    ]
    ask_all(hosts[0], 4)
    ask_all(hosts[1], 6)
    ask_all(hosts[1], 2, "/fails")
    ask_all(hosts[1], 1, "/outcome/checkout/ok")
    for host in hosts:
        assert await_samples(host, 4, "errors?environment=blue")["error_rate_5min"] == 0.0
        await_samples(host, 9, "errors?environment=green")
        eventually(
            lambda host=host: ask(host, "errors?environment=green")["reporters"] == 1,
            message="green to be known",
        )
        green = await_samples(host, 9, "errors?environment=green&window=60")
        assert (green["errors"], green["environment"], green["reporters"]) == (2, "green", 1)
        assert await_samples(host, 1, "outcomes/checkout?environment=green")["success_rate"] == 100
        active = [
            await_samples(host, 1, f"sessions/active?environment={c}") for c in ("blue", "green")
        ]
        assert [body["active_sessions"] for body in active] == [5, 9]
        assert get(host, "/api/metrics/performance?environment=red").status_code == 400


@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_a_stream_lasts_until_its_end_and_a_break_is_an_error(
    start_host: Hosts, redis_url: str, worker: str
) -> None:
    host = start_host(HOST, worker=worker, environment=blue(redis_url))
    began = time.perf_counter()
    assert len(get(host, "/stream/6").content) == 600_000
    await_samples(host, 1)
    assert has_lasted(ask(host, "performance")["p50_ms"], 300, began)
    with pytest.raises(httpx.RemoteProtocolError):
        get(host, "/breaks")
    assert await_samples(host, 2)["errors_5min"] == 1


@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_a_client_that_leaves_ends_its_request_without_an_error(
    start_host: Hosts, redis_url: str, worker: str
) -> None:
    host = start_host(HOST, worker=worker, environment=blue(redis_url))
    with socket.create_connection(("127.0.0.1", host.port)) as link:
        # It would go on for 200 s.
        link.sendall(b"GET /stream/4000 HTTP/1.1\r\nHost: x\r\n\r\n")
        link.recv(1000)
    assert await_samples(host, 1)["errors_5min"] == 0


@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_a_file_goes_through_the_servers_own_wrapper(
    start_host: Hosts, redis_url: str, worker: str
) -> None:
    host = start_host(HOST, worker=worker, environment=blue(redis_url))
    assert len(get(host, "/file").content) == 3_000_000
    assert await_samples(host, 1)["errors_5min"] == 0


def test_odd_paths_and_methods_make_few_series(start_host: Hosts, redis_url: str) -> None:
    host = start_host(HOST, environment=blue(redis_url, MINA_OPS_REQUEST_LOG="0"))
    with httpx.Client(base_url=host.url, timeout=45) as client:
        for number in range(1000):
            method = "GET" if number % 2 else f"ODD{number:04}".translate(DIGITS_TO_LETTERS)
            assert client.request(method, f"/no/{number}").status_code in (404, 405)
    await_samples(host, 1000)
    text = get(host, "/metrics").text
    assert text.count("http_server_request_duration_seconds_count{") <= 4


def test_the_playbooks_grep_finds_the_requests(start_host: Hosts, redis_url: str) -> None:
    host = start_host(HOST, environment=blue(redis_url))
    days = [time.strftime("%Y-%m-%d")]
    get(host, "/works/42")
    days.append(time.strftime("%Y-%m-%d"))
    line = eventually(
        lambda: [text for text in host.log.read_text().splitlines() if "REQUEST" in text],
        message="the line",
    )
    assert line[0].startswith(tuple(f"[{day} " for day in days))
    assert line[0].endswith("] REQUEST GET /works/42")
