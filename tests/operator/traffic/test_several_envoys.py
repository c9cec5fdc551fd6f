"""Two Envoy hosts: they follow together, and one that was away catches up before it serves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mina_ops.errors import TrafficError
from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.catching_up import catch_up
from tests.operator.balancers import (
    Balancer,
    envoy_in_front,
    haproxy_in_front,
    nginx_in_front,
    write_toml,
)
from tests.operator.stand_in import StandIns, stand_ins
from tests.operator.traffic.test_contract import green
from tests.support.command import MINA_OPS
from tests.support.envoy import envoy as envoy_program
from tests.support.needs import need
from tests.support.wait import eventually


@dataclass
class TwoEnvoys:
    """Two Envoys with a mina-ops.toml each, and the driver that runs mina-ops for both."""

    first: Balancer
    second: Balancer
    toml: Path

    @property
    def driver(self) -> TrafficDriver:
        return open_driver(settings.load(self.toml))

    def command(self, member: Balancer) -> str:
        return f"{MINA_OPS} --config {member.toml}"


@pytest.fixture(scope="module")
def _standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoEnvoys]:
    folder, program = tmp_path_factory.mktemp("envoys"), need(envoy_program)
    with stand_ins() as apps, ExitStack() as stack:
        members = []
        for name in ("lb1", "lb2"):
            (folder / name).mkdir()
            members.append(stack.enter_context(envoy_in_front(folder / name, apps, program)))
        lines = [f'{m.folder.name} = ["{MINA_OPS}", "--config", "{m.toml}"]' for m in members]
        traffic = '[traffic]\ndriver = "envoy"\n[traffic.envoy.hosts]\n' + "\n".join(lines)
        yield TwoEnvoys(*members, write_toml(folder, apps, members[0].port, traffic))


@pytest.fixture
def envoys(_standing: TwoEnvoys) -> TwoEnvoys:
    """Both serve 100 % blue."""
    for member in (_standing.first, _standing.second):
        if not member.server.alive:
            member.start()
        member.driver.apply(green(0))
    return _standing


def test_both_follow_and_differ_for_a_moment_alone(envoys: TwoEnvoys) -> None:
    seen: dict[str, float] = {}
    done = threading.Event()

    def watch(member: Balancer) -> None:
        while not done.is_set():
            if member.driver.read().split.percent["green"] == 30:
                seen[member.folder.name] = time.monotonic()
                return

    watchers = [
        threading.Thread(target=watch, args=(member,)) for member in (envoys.first, envoys.second)
    ]
    for watcher in watchers:
        watcher.start()
    applied = envoys.driver.apply(green(30, **{"7": "green"}))
    done.set()
    for watcher in watchers:
        watcher.join()
    assert applied.after.split == green(30, **{"7": "green"})
    # Both were seen to follow before `apply` came back. How long they differ: docs/engines.md.
    assert seen.keys() == {"lb1", "lb2"}
    for member in (envoys.first, envoys.second):
        assert member.get("/", X_User_ID="7").colour == "green"


def test_one_that_is_away_is_named_stops_a_step_and_no_way_back(envoys: TwoEnvoys) -> None:
    envoys.driver.apply(green(50))
    envoys.second.stop()
    with pytest.raises(TrafficError, match="lb2: Envoy does not answer"):
        envoys.driver.apply(green(100))
    assert envoys.first.driver.read().split == green(50)
    applied = envoys.driver.apply_to_reachable(green(0))
    assert applied.after.split == envoys.first.driver.read().split == green(0)
    behind = applied.after.detail["left_behind"]
    assert list(behind) == ["lb2"]
    assert "Envoy does not answer" in behind["lb2"]
    # It kept what it served when it went, and would serve it again.
    assert envoys.driver.read_reachable().detail["left_behind"].keys() == {"lb2"}
    caught = catch_up(envoys.second.driver, [envoys.command(envoys.first)])
    assert caught.split == green(0)
    envoys.second.start()
    assert envoys.second.driver.read().split == green(0)
    assert envoys.driver.read().split == green(0)


def test_a_way_back_without_any_load_balancer_is_none(envoys: TwoEnvoys) -> None:
    for member in (envoys.first, envoys.second):
        member.stop()
    with pytest.raises(TrafficError, match=r"No load balancer answers: lb1: .*; lb2: "):
        envoys.driver.apply_to_reachable(green(0))
    # As after a power cut: nobody can be asked, so each goes on with what it kept.
    caught = catch_up(envoys.second.driver, [envoys.command(envoys.first)])
    assert caught.split is None
    assert list(caught.silent) == [envoys.command(envoys.first)]


Begin = Callable[[Path, StandIns], Balancer]


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_nginx_and_haproxy_catch_up_before_they_are_started_too(
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    nginx_binary: Path,
    haproxy_binary: Path,
) -> None:
    with stand_ins() as apps, ExitStack() as stack:
        in_front = nginx_in_front if kind == "nginx" else haproxy_in_front
        binary = nginx_binary if kind == "nginx" else haproxy_binary
        members = []
        for name in ("lb1", "lb2"):
            # Short, since HAProxy takes no more than 97 letters for the path of a socket.
            folder = tmp_path_factory.mktemp(name)
            members.append(stack.enter_context(in_front(folder, apps, binary)))
        first, second = members
        source = f"{MINA_OPS} --config {first.toml}"
        second.driver.apply(green(80))
        second.stop()
        first.driver.apply(green(20, **{"7": "green"}))
        assert catch_up(second.driver, [source]).split == green(20, **{"7": "green"})
        second.start()
        eventually(lambda: second.driver.read().split == green(20, **{"7": "green"}))
        # Where it runs already, it follows at once.
        first.driver.apply(green(60))
        assert catch_up(second.driver, [source]).split == green(60)
        assert second.driver.read().split == green(60)
        assert json.loads(json.dumps(catch_up(second.driver, [source]).to_json()))["silent"] == {}
