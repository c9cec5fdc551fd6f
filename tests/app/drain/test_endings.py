"""Ends that end: whatever SIGTERM handler a host has, a process that drained is gone."""

from __future__ import annotations

import hashlib
import os
import signal
from contextlib import suppress
from importlib.util import find_spec

import httpx
import psutil
import pytest

from mina_ops.demo.processes import Server
from tests.support.hosts import Hosts
from tests.support.wait import eventually

HOST_APP = "tests.app.drain.ending_host:app"
_LONG = pytest.mark.long
WAYS = [
    "logs",
    pytest.param("none", marks=_LONG),
    pytest.param("raises", marks=_LONG),
    pytest.param("exits", marks=_LONG),
    pytest.param("ignores", marks=_LONG),
]
WORKERS = ["gthread", "gevent", "eventlet"]


def _host(start_host: Hosts, redis_url: str, worker: str, *options: str, **more: str) -> Server:
    environment = {"REDIS_URL": redis_url, "MINA_OPS_BEAT": "0.2", **more}
    return start_host(HOST_APP, worker=worker, environment=environment, options=options)


def _pid(host: Server) -> int:
    return int(httpx.get(f"{host.url}/pid", timeout=10).text)


@pytest.mark.parametrize("way", [pytest.param("none", marks=_LONG), "logs"])
@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_that_has_served_max_requests_is_replaced(
    start_host: Hosts, redis_url: str, worker: str, way: str
) -> None:
    if worker == "gevent" and find_spec("geventwebsocket"):
        pytest.skip("its worker does not count requests, so gunicorn never replaces it")
    host = _host(start_host, redis_url, worker, "--max-requests", "150", HANDLER=way)
    with httpx.Client(base_url=host.url, timeout=10) as client:
        first = client.get("/pid").text
        for _ in range(170):
            # Gunicorn 23 alone, without us, drops the connection after the last of them: 25 of 25.
            with suppress(httpx.NetworkError, httpx.RemoteProtocolError):
                client.get("/pid")

    def replaced() -> bool:
        ready = httpx.get(f"{host.url}/api/health/ready", timeout=5).status_code == 200
        return ready and str(_pid(host)) != first

    eventually(replaced, 45, "no new worker, or none that is ready", ignoring=(httpx.HTTPError,))
    handshake = httpx.get(f"{host.url}/socket.io/?EIO=4&transport=polling", timeout=5)
    assert handshake.status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_gets_sigterm_is_replaced(
    start_host: Hosts, redis_url: str, way: str
) -> None:
    _replaced_after_sigterm(_host(start_host, redis_url, "gthread", HANDLER=way))


@pytest.mark.parametrize("worker", [pytest.param("gevent", marks=_LONG), "eventlet"])
def test_a_green_worker_whose_handler_only_logs_is_replaced(
    start_host: Hosts, redis_url: str, worker: str
) -> None:
    _replaced_after_sigterm(_host(start_host, redis_url, worker, HANDLER="logs"))


@pytest.mark.parametrize("option", ["--preload", "late"])
def test_it_is_also_replaced_when_the_handler_comes_early_or_late(
    start_host: Hosts, redis_url: str, option: str
) -> None:
    options = [option] if option.startswith("--") else []
    late = "0" if options else "1"
    host = _host(start_host, redis_url, "gthread", *options, HANDLER="logs", LATE=late)
    _replaced_after_sigterm(host)


def _replaced_after_sigterm(host: Server) -> None:
    with httpx.Client(base_url=host.url, timeout=10) as client:
        first = int(client.get("/pid").text)
        opened = client.get("/socket.io/?EIO=4&transport=polling")
        assert opened.status_code == 200  # somebody to hand over
        # One that came late is seen by the next beat.
        eventually(lambda: client.get("/handler").text == "not the host's", 10)
    os.kill(first, signal.SIGTERM)
    os.kill(first, signal.SIGTERM)
    eventually(
        lambda: not psutil.pid_exists(first) and _pid(host) != first,
        60,
        "the process goes on",
        ignoring=(httpx.HTTPError,),
    )


@pytest.mark.parametrize(
    "way", ["logs", *(pytest.param(way, marks=_LONG) for way in ("none", "raises", "slow"))]
)
def test_flask_socketios_own_server_ends_too(start_host: Hosts, redis_url: str, way: str) -> None:
    host = _host(start_host, redis_url, "socketio.run", HANDLER=way)
    assert _pid(host) > 0
    host.process.send_signal(signal.SIGTERM)
    eventually(lambda: not host.alive, 30, "it goes on")
    if way == "slow":
        assert "saved by the host" in host.log.read_text()


def test_what_a_process_does_on_its_own_shows_in_every_answer(
    start_host: Hosts, redis_url: str
) -> None:
    token = "the-token-of-the-tests"
    digest = "name:" + hashlib.sha256(token.encode()).hexdigest()
    host = _host(start_host, redis_url, "gthread", HANDLER="logs", MINA_OPS_ADMIN_TOKENS=digest)
    with httpx.Client(base_url=host.url, timeout=10) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        first = int(client.get("/pid").text)
        assert client.get("/admin/drain").json()["state"] == "serving"
        opened = client.get("/socket.io/?EIO=4&transport=polling")
        assert opened.status_code == 200
        os.kill(first, signal.SIGTERM)
        eventually(lambda: client.get("/api/health/ready").status_code == 503, 10)
        told = client.get("/admin/drain").json()
        assert (told["state"] in ("draining", "drained"), told["leaving"]) == (True, 1)
