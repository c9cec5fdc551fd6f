"""Flags in real processes: pre-fork, threads, gevent, eventlet; killed, hung, and told late."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import pytest

from mina_ops.app.state import Change, keys
from mina_ops.demo.processes import HOST, Server
from tests.app.flags import flagging
from tests.app.flags.flagging import (
    APP,
    LASTING,
    change,
    environment,
    kill,
    opened,
    processes_known,
    told,
    told_by_all,
)
from tests.support.hosts import Hosts
from tests.support.lossy import LossyLine
from tests.support.wait import eventually


@pytest.mark.parametrize(
    ("worker", "workers", "options"),
    [
        ("gthread", 2, []),
        ("gthread", 2, ["--preload"]),
        ("gevent", 2, []),
        ("eventlet", 2, []),
        ("socketio.run", 1, []),
    ],
)
def test_a_confirmed_kill_is_in_force_in_every_process(
    start_host: Hosts, redis_url: str, worker: str, workers: int, options: list[str]
) -> None:
    host = start_host(
        APP, worker=worker, workers=workers, options=options, environment=environment(redis_url)
    )
    assert change(host, "audio", enabled=True)[0] == 201
    told_by_all(host, "audio", workers)
    processes_known(redis_url, workers)
    eventually(
        lambda: all(body["on"] for body in told_by_all(host, "audio", workers).values()),
        message="the flag to be on everywhere",
    )
    status, body = kill(host, "audio")
    assert (status, body["confirmed"], body["waiting_for"]) == (200, True, [])
    assert len(body["applied_by"]) == workers
    assert {body["on"] for body in told_by_all(host, "audio", workers).values()} == {False}


def test_both_colours_confirm_and_a_release_reaches_only_new_code(
    start_host: Hosts, redis_url: str
) -> None:
    old = start_host(APP, environment={**environment(redis_url, "blue"), "APP_VERSION": "v2.4.5"})
    new = start_host(APP, environment=environment(redis_url, "green"))
    for colour in ("blue", "green"):
        processes_known(redis_url, 1, colour)
    status, body = change(old, "audio", enabled=True, minimum_release="v2.5.0", confirm_seconds=30)
    assert (status, body["confirmed"]) == (201, True)
    assert told(old, "audio")["on"] is False
    assert told(new, "audio")["on"] is True
    status, body = kill(new, "audio")
    assert body["confirmed"] is True
    assert {name.split("/")[0] for name in body["applied_by"]} == {"blue", "green"}


def test_a_process_that_hangs_is_named_and_follows_when_it_wakes(
    start_host: Hosts, redis_url: str
) -> None:
    host = start_host(APP, workers=2, environment=environment(redis_url))
    change(host, "audio", enabled=True)
    pids = sorted(told_by_all(host, "audio", 2))
    processes_known(redis_url, 2)
    eventually(
        lambda: all(body["on"] for body in told_by_all(host, "audio", 2).values()),
        message="the flag to be on everywhere",
    )
    other = start_host(APP, environment=environment(redis_url, "green"))

    def waited_for() -> list[str]:
        began = time.monotonic()
        status, body = change(other, "audio", enabled=False, confirm_seconds=0.5)
        assert (status, body["confirmed"]) == (202, False)
        assert time.monotonic() - began >= 0.5
        return [name.split(":")[-2] for name in body["waiting_for"]]

    os.kill(pids[0], signal.SIGSTOP)
    try:
        eventually(lambda: waited_for() == [str(pids[0])], message="only the one that hangs")
    finally:
        os.kill(pids[0], signal.SIGCONT)
    eventually(
        lambda: not any(body["on"] for body in told_by_all(host, "audio", 2).values()),
        message="the process that woke to follow",
    )


def test_a_lost_hint_costs_one_beat(
    start_host: Hosts, redis_server: Server, redis_url: str
) -> None:
    with closing(LossyLine(redis_server.port)) as line:
        deaf = f"redis://{HOST}:{line.port}/0"
        host = start_host(APP, environment=environment(deaf))
        other = start_host(APP, environment=environment(redis_url, "green"))
        change(other, "audio", enabled=True)
        eventually(lambda: told(host, "audio")["on"], message="the flag to be on")
        processes_known(redis_url, 1)
        line.losing = keys.FLAGS_HINT.encode()
        # The published message is lost on its way; the line stays, so nothing else tells of it.
        status, body = kill(other, "audio")
        assert (status, body["confirmed"]) == (200, True)
        eventually(lambda: line.lost >= 1, message="the hint to be lost")
        assert told(host, "audio")["on"] is False
        host.stop()


def test_a_broken_line_of_hints_is_made_again(start_host: Hosts, redis_url: str) -> None:
    import redis

    host = start_host(APP, environment=environment(redis_url, MINA_OPS_BEAT="5"))
    told(host, "audio")
    with redis.Redis.from_url(redis_url) as client:

        def listening() -> int:
            return len(client.pubsub_channels(keys.FLAGS_HINT))

        eventually(listening, message="the listener")
        client.client_kill_filter(_type="pubsub")
        eventually(listening, message="the listener to come back")
    began = time.monotonic()
    with opened(redis_url) as store:
        for on in (True, False) * 4:
            put = {"audio": json.dumps({"enabled": on, "key": "audio"}).encode()}
            store.change_register(keys.FLAGS, Change(put=put, hint=keys.FLAGS_HINT))
            eventually(lambda on=on: told(host, "audio")["on"] is on, message="the change")
    assert time.monotonic() - began < 30, "a beat sees one change; eight take seven beats of 5 s"


def test_two_admins_at_two_hosts_lose_nothing(start_host: Hosts, redis_url: str) -> None:
    hosts: list[Server] = [
        start_host(APP, environment=environment(redis_url, colour)) for colour in ("blue", "green")
    ]
    fields = [{"owner": "ana"}, {"rollout_percent": 10}, {"release": "v2.5.0"}, {"allow": ["7"]}]

    def write(number: int) -> int:
        return change(hosts[number % 2], "audio", **fields[number % 4])[0]

    with ThreadPoolExecutor(4) as pool:
        statuses = set(pool.map(write, range(40)))
    assert statuses <= {200, 201}

    def found() -> list[Any]:
        body = flagging.call(hosts[0], "GET", "/admin/flags/audio")[1]
        return [body[name] for name in ("owner", "rollout_percent", "release", "allow")]

    eventually(lambda: found() == ["ana", 10.0, "v2.5.0", ["7"]], message="all four fields")


def test_admins_who_add_to_what_they_read_lose_nothing(start_host: Hosts, redis_url: str) -> None:
    hosts = [
        start_host(APP, workers=2, environment=environment(redis_url, colour), options=LASTING)
        for colour in ("blue", "green")
    ]
    change(hosts[0], "audio", metadata={"n": 0})
    for host in hosts:
        eventually(
            lambda host=host: all(v["version"] for v in told_by_all(host, "audio", 2).values()),
            message="every worker to know the flag",
        )
    with ThreadPoolExecutor(4) as pool:
        ports = [hosts[n % 2].port for n in range(4)]
        together = [Barrier(4, timeout=45)] * 4
        refused = sum(pool.map(flagging.count_up, ports, [10] * 4, together))
    assert refused >= 3, "of four who read the same, one may write"
    eventually(
        lambda: flagging.call(hosts[0], "GET", "/admin/flags/audio")[1]["metadata"] == {"n": 40},
        message="every number to be counted",
    )
    changes = flagging.call(hosts[0], "GET", "/admin/flags/audio/history")[1]["changes"]
    after = [change["after"]["audio"]["metadata"]["n"] for change in changes]
    assert after == list(range(40, -1, -1))
