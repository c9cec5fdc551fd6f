from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from mina_ops.demo import processes
from mina_ops.demo.processes import (
    AddressInUse,
    Server,
    ServerFailed,
    free_port,
    on_free_port,
    start,
)
from mina_ops.demo.servers import (
    answers,
    nginx_configuration,
    start_gunicorn,
    start_nginx,
    start_redis,
)
from tests.support.hosts import REPOSITORY
from tests.support.wait import eventually

pytestmark = [pytest.mark.integration, pytest.mark.once]
HELLO = "tests.support.hello:app"
SLEEPER = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(60)"
)
NEGLECTFUL_PARENT = """
import sys, threading, time
from pathlib import Path
from mina_ops.demo.processes import start

def begin():
    worker = "import time; time.sleep(60)"
    text = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    server = start("family", [sys.executable, "-c", text], Path(sys.argv[1]))
    print(server.pid, flush=True)

starter = threading.Thread(target=begin)
starter.start()
starter.join()
print("the thread that started it has ended", flush=True)
time.sleep(60)
"""


def _nginx_saying_hello(folder: Path, port: int) -> Server:
    folder.mkdir(exist_ok=True)
    site = f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 hello; }} }}"
    configuration = folder / "nginx.conf"
    configuration.write_text(nginx_configuration(folder, site))
    return start_nginx(folder, configuration, port=port)


def _body(server: Server, path: str = "/") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_free_port_is_none_that_a_client_may_get() -> None:
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert {free_port() for _ in range(200)} <= set(range(1024, int(first)))


def test_a_port_that_is_taken_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(processes, "_SERVER_PORTS", range(port, port + 1))
        monkeypatch.setattr(processes, "_PORT_ATTEMPTS", 1)
        with pytest.raises(ServerFailed, match="has no free port"):
            free_port()


def test_redis_serves_on_a_free_port_and_is_gone_afterwards(tmp_path: Path) -> None:
    with start_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", "b")
        assert client.get("a") == b"b"
        assert server.listens()
    assert not server.alive
    assert not psutil.pid_exists(server.pid)


def test_redis_leaves_no_file_but_its_log(tmp_path: Path) -> None:
    with start_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", "b")
    assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]


def test_nginx_serves_its_configuration_and_stays_inside_its_folder(tmp_path: Path) -> None:
    with on_free_port(lambda port: _nginx_saying_hello(tmp_path, port)) as server:
        assert _body(server) == b"hello"
        assert (tmp_path / "nginx.pid").read_text().strip() == str(server.pid)
    assert not server.alive


def test_nginx_with_a_broken_configuration_fails_with_nginxs_own_words(tmp_path: Path) -> None:
    configuration = tmp_path / "nginx.conf"
    configuration.write_text("events {}\nnonsense;\n")
    with pytest.raises(ServerFailed, match='unknown directive "nonsense"'):
        start_nginx(tmp_path, configuration, port=free_port())


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn_serves_an_app_under_each_worker_class(tmp_path: Path, worker: str) -> None:
    with start_gunicorn(
        tmp_path,
        HELLO,
        worker_class=worker,
        environment={"GREETING": "good day"},
        import_from=REPOSITORY,
    ) as server:
        assert _body(server) == b"good day"
    assert not server.alive


def test_an_app_that_cannot_be_imported_fails_at_once_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="nosuch"):
        start_gunicorn(tmp_path, "nosuch:app")


def test_a_taken_port_is_told_apart_and_another_one_is_tried(tmp_path: Path) -> None:
    ports: list[int] = []
    with start_redis(tmp_path / "first") as first:

        def start_on(port: int) -> Server:
            ports.append(port)
            return start_redis(tmp_path / "second", port=port if len(ports) > 1 else first.port)

        with on_free_port(start_on) as second:
            assert second.port not in (first.port, 0)
    assert len(ports) == 2


def _gunicorn_saying_hello(folder: Path, port: int) -> Server:
    return start_gunicorn(folder, HELLO, port=port, import_from=REPOSITORY)


@pytest.mark.parametrize("start_on", [_nginx_saying_hello, _gunicorn_saying_hello])
def test_nginx_and_gunicorn_report_a_taken_port_without_waiting(tmp_path: Path, start_on) -> None:
    with start_redis(tmp_path) as holder, pytest.raises(AddressInUse, match=str(holder.port)):
        start_on(tmp_path / "second", holder.port)


def test_another_process_on_the_port_is_not_taken_for_the_server(tmp_path: Path) -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        start_redis(tmp_path) as holder,
        pytest.raises(ServerFailed, match=r"within 0\.5 s"),
    ):
        start("other", silent, tmp_path, port=holder.port, ready=answers, ready_seconds=0.5)


def test_a_server_that_is_not_ready_in_time_is_ended(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(ServerFailed, match="did not answer within"):
        start(
            "slow",
            [sys.executable, "-c", SLEEPER],
            tmp_path,
            ready=lambda server: False,
            ready_seconds=0.2,
        )
    assert set(psutil.Process().children()) == before


def test_a_server_that_ignores_term_is_killed_after_its_deadline(tmp_path: Path) -> None:
    server = start(
        "stubborn",
        [sys.executable, "-c", SLEEPER],
        tmp_path,
        ready=lambda server: "deaf" in server.log_tail(),
        stop_seconds=0.2,
    )
    server.stop()
    assert server.process.returncode == -signal.SIGKILL


def test_workers_that_outlive_their_leader_are_ended_too(tmp_path: Path) -> None:
    server = start("parent", ["sh", "-c", "sleep 60 & echo $!; wait"], tmp_path)
    child = eventually(lambda: server.log.read_text().strip())
    server.stop()
    eventually(lambda: not psutil.pid_exists(int(child)))


def test_a_paused_server_is_alive_silent_and_can_be_stopped(tmp_path: Path) -> None:
    with start_redis(tmp_path) as server:
        server.pause()
        with redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None) as client:
            with pytest.raises(redis.TimeoutError):
                client.ping()
            assert server.alive
            server.resume()
            assert eventually(client.ping, ignoring=(redis.TimeoutError,))
        server.pause()
        server.stop()
    assert server.process.returncode == 0


def test_nobody_watches_over_a_server_that_was_stopped(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with start_redis(tmp_path) as server:
        beside = set(psutil.Process().children()) - before
        assert server.pid in {process.pid for process in beside}
        assert len(beside) == 2
    assert set(psutil.Process().children()) == before


def test_kill_ends_a_server_as_a_crash_does(tmp_path: Path) -> None:
    with start_redis(tmp_path) as server:
        server.kill()
        assert not server.alive
        server.kill()
    assert server.process.returncode == -signal.SIGKILL


def test_a_parent_that_is_killed_leaves_no_server_and_no_worker_of_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", NEGLECTFUL_PARENT, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        worker = eventually(server.children)[0]
        assert parent.stdout.readline().startswith("the thread")
        assert server.is_running()
        parent.kill()
    eventually(lambda: not server.is_running() and not worker.is_running(), 10, "they run on")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_parent_that_is_interrupted_stops_its_servers(
    tmp_path: Path, number: signal.Signals
) -> None:
    program = (
        "import sys, time; from pathlib import Path;"
        "from mina_ops.operator.system.signals import unwinding;"
        "from mina_ops.demo.servers import start_redis\n"
        "with unwinding(), start_redis(Path(sys.argv[1])) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        redis_pid = int(parent.stdout.readline())
        assert psutil.pid_exists(redis_pid)
        os.kill(parent.pid, number)
        assert parent.wait(timeout=40) != 0
    assert not psutil.pid_exists(redis_pid)
