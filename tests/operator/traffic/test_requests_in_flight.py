"""A drain waits for the requests that a real HAProxy is still at, those the app forgot included."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mina_ops.errors import DrainTimedOut
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.draining import follow
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer, haproxy_in_front
from tests.operator.stand_in import TOKEN, StandIns
from tests.support.wait import eventually


@pytest.fixture
def haproxy(tmp_path: Path, apps: StandIns, haproxy_binary: Path) -> Iterator[Balancer]:
    with haproxy_in_front(tmp_path, apps, haproxy_binary) as balancer:
        yield balancer


@contextmanager
def hanging(haproxy: Balancer, apps: StandIns) -> Iterator[None]:
    """A request of a visitor hangs in an app of the colour that has the traffic."""
    link = http.client.HTTPConnection("127.0.0.1", haproxy.port, timeout=60)
    link.request("POST", "/hang", body=b"an upload")
    try:
        eventually(lambda: sum(one.seen["/hang"] for one in apps.all()) > 0)
        yield
    finally:
        link.close()
        apps.cut()


def long_requests(haproxy: Balancer) -> tuple[int | None, int | None]:
    return haproxy.driver.long_requests("blue"), haproxy.driver.long_requests("green")


def test_a_request_counts_for_its_colour_once_it_is_long(haproxy: Balancer, apps: StandIns) -> None:
    assert long_requests(haproxy) == (0, 0)
    with hanging(haproxy, apps):
        haproxy.driver.apply(Split({"blue": 0, "green": 100}))
        eventually(lambda: long_requests(haproxy) == (1, 0))
        assert [haproxy.get("/").colour for _ in range(4)] == ["green"] * 4
        assert long_requests(haproxy) == (1, 0), "short ones are over before they count"
    eventually(lambda: long_requests(haproxy) == (0, 0))


def test_a_drain_ends_when_the_balancer_has_nothing_in_flight(
    haproxy: Balancer, apps: StandIns
) -> None:
    with ExitStack() as stack, client(apps) as blue:
        stack.enter_context(hanging(haproxy, apps))
        eventually(lambda: haproxy.driver.long_requests("blue") == 1)
        blue.begin_drain(30)
        seen = []
        # The app says "drained" from the first look on: its request is in nobody's count there.
        for status in follow(blue, 30, at_balancer=haproxy.driver.long_requests):
            seen.append((status.state, status.requests_at_balancer))
            stack.close()
    assert seen[0] == ("draining", 1)
    assert seen[-1] == ("drained", 0)


def test_a_request_that_does_not_end_is_named(haproxy: Balancer, apps: StandIns) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with hanging(haproxy, apps), client(apps) as blue:
        eventually(lambda: haproxy.driver.long_requests("blue") == 1)
        blue.begin_drain(5)
        at_balancer, clock = haproxy.driver.long_requests, lambda: now[0]
        with pytest.raises(DrainTimedOut, match="blue still has 1 requests in flight at the load"):
            list(follow(blue, 5, at_balancer=at_balancer, clock=clock, sleep=sleep))


def test_a_balancer_that_is_away_keeps_no_drain_from_its_end(
    haproxy: Balancer, apps: StandIns
) -> None:
    haproxy.stop()
    with client(apps) as blue:
        blue.begin_drain(5)
        last = list(follow(blue, 5, at_balancer=haproxy.driver.long_requests))[-1]
    assert (last.state, last.requests_at_balancer) == ("drained", None)


def test_nginx_cannot_tell(nginx: Balancer) -> None:
    assert nginx.driver.long_requests("blue") is None


def client(apps: StandIns) -> AppClient:
    return AppClient("blue", f"http://{apps.instances['blue'][0].address}", token=TOKEN)
