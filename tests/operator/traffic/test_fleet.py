"""Several load balancers follow together or not at all."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mina_ops.demo.processes import Server, start
from mina_ops.errors import ConfigurationError, ToolMissing, TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.catching_up import catch_up
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.watching import Sight, TakeOut
from tests.operator.balancers import Balancer, free_ports, nginx_in_front, write_toml
from tests.operator.stand_in import StandIns
from tests.support.command import MINA_OPS


def green(percent: int, **cohorts: str) -> Split:
    return Split({"blue": 100 - percent, "green": percent}, cohorts)


@dataclass
class TwoNginx:
    """Two nginx, each with its own mina-ops.toml, and the driver that runs mina-ops for both."""

    first: Balancer
    second: Balancer
    toml: Path

    @property
    def driver(self) -> TrafficDriver:
        return open_driver(settings.load(self.toml))


@pytest.fixture
def two_nginx(tmp_path: Path, apps: StandIns, nginx_binary: Path) -> Iterator[TwoNginx]:
    with ExitStack() as stack:
        members = []
        for name in ("lb1", "lb2"):
            (tmp_path / name).mkdir()
            running = nginx_in_front(tmp_path / name, apps, nginx_binary)
            members.append(stack.enter_context(running))
        lines = [
            f'{member.folder.name} = ["{MINA_OPS}", "--config", "{member.toml}"]'
            for member in members
        ]
        traffic = '[traffic]\ndriver = "nginx"\n[traffic.nginx.hosts]\n' + "\n".join(lines)
        toml = write_toml(tmp_path, apps, members[0].port, traffic)
        yield TwoNginx(members[0], members[1], toml)


def test_nginx_hosts_follow_through_a_command_each(two_nginx: TwoNginx) -> None:
    driver = two_nginx.driver
    assert driver.check() == []
    applied = driver.apply(green(30, **{"7": "green"}))
    assert (applied.before, applied.after.split) == (green(0), green(30, **{"7": "green"}))
    assert applied.after.proven
    for member in (two_nginx.first, two_nginx.second):
        assert member.driver.read().split == green(30, **{"7": "green"})
        assert member.get("/", X_User_ID="7").colour == "green"
    assert "lb2: " in driver.plan(green(1))[1]


def test_a_visitor_gets_the_same_colour_on_every_host(two_nginx: TwoNginx) -> None:
    two_nginx.driver.apply(green(50))
    for number in range(30):
        cookie = f"mina_key=visitor-{number}"
        both = {m.get("/", Cookie=cookie).colour for m in (two_nginx.first, two_nginx.second)}
        assert len(both) == 1


def test_a_host_that_does_not_follow_brings_all_back(two_nginx: TwoNginx) -> None:
    two_nginx.driver.apply(green(30))
    # A file where the next split would be written.
    (two_nginx.second.folder / "state/splits/.draft-3").touch()
    with pytest.raises(TrafficError, match=r"lb2 did not follow") as caught:
        two_nginx.driver.apply(green(60))
    assert "lb1 did not" not in str(caught.value)
    assert two_nginx.first.driver.read().split == green(30)
    assert two_nginx.second.driver.read().split == green(30)


def test_a_host_that_is_silent_is_named_before_anything_changes(two_nginx: TwoNginx) -> None:
    two_nginx.second.stop()
    with pytest.raises(TrafficError, match=r"lb2: nginx does not answer"):
        two_nginx.driver.apply(green(60))
    assert two_nginx.first.driver.read().split == green(0)
    assert any(problem.startswith("lb2: ") for problem in two_nginx.driver.check())


def test_a_colour_that_is_down_is_taken_out_though_one_host_is_silent(two_nginx: TwoNginx) -> None:
    taker = TakeOut(settings.load(two_nginx.toml), two_nginx.driver)
    two_nginx.second.stop()
    done = taker.act(Sight("blue", False, "down", up=False, flipped=True)) or ""
    assert "blue is taken out: blue 0 %, green 100 %; lb2 was left behind: lb2: nginx" in done
    assert two_nginx.first.driver.read().split == green(100)
    up = Sight("blue", True, "v1", up=True, flipped=True)
    # It waits for all of them to agree, and is tried again at the next look.
    with pytest.raises(TrafficError, match="lb2: nginx does not answer"):
        taker.act(up)
    two_nginx.second.start()
    catch_up(two_nginx.second.driver, [f"{MINA_OPS} --config {two_nginx.first.toml}"])
    assert "back in" in (taker.act(up) or "")
    for member in (two_nginx.first, two_nginx.second):
        assert member.driver.read().split == green(0)


def test_hosts_that_differ_are_an_error_and_one_apply_heals_them(two_nginx: TwoNginx) -> None:
    two_nginx.first.driver.apply(green(10))
    with pytest.raises(TrafficError, match=r"do not agree: lb1: blue 90 %.*lb2: blue 100 %"):
        two_nginx.driver.read()
    two_nginx.driver.apply(green(20))
    assert two_nginx.driver.read().split == green(20)


def test_who_holds_one_host_is_named_though_another_cannot_be_reached(
    two_nginx: TwoNginx,
) -> None:
    other = Holder("0123456789-b", "switch", "somebody", "host", 0, ttl_seconds=30.0)
    mine = Holder("0123456789-a", "release", "somebody", "host", 0, ttl_seconds=30.0)
    text = two_nginx.toml.read_text()
    two_nginx.toml.write_text(text[: text.index("lb2 = ")] + 'lb2 = ["false"]\n')
    with pytest.raises(TrafficError, match="lb2: "):
        two_nginx.driver.holder()
    two_nginx.first.driver.hold(other)
    assert (two_nginx.driver.hold(mine) or mine).id == other.id
    assert (two_nginx.driver.holder() or mine).id == other.id


def test_a_host_without_a_command_is_wrong_settings(two_nginx: TwoNginx) -> None:
    text = two_nginx.toml.read_text()
    two_nginx.toml.write_text(text + "\nlb3 = []\n")
    with pytest.raises(ConfigurationError, match=r"traffic.nginx.hosts.lb3: give the command"):
        two_nginx.driver.check()
    two_nginx.toml.write_text(text + '\nlb3 = ["no-such-program"]\n')
    with pytest.raises(ToolMissing, match="no-such-program is not installed"):
        two_nginx.driver.apply(green(1))
    two_nginx.toml.write_text(text + '\nlb3 = ["true"]\n')
    with pytest.raises(TrafficError, match="answers nothing that mina-ops says"):
        two_nginx.driver.apply(green(1))
    assert two_nginx.first.driver.read().split == green(0)


@dataclass
class TwoHaproxy:
    """Two HAProxy behind TCP admin sockets, and the driver over both."""

    servers: dict[str, Server]
    folder: Path
    toml: Path

    @property
    def driver(self) -> TrafficDriver:
        return open_driver(settings.load(self.toml))

    def kept(self, name: str) -> str:
        return (self.folder / name / "split.map").read_text()


@pytest.fixture
def two_haproxy(tmp_path: Path, apps: StandIns, haproxy_binary: Path) -> Iterator[TwoHaproxy]:
    names = ("lb1", "lb2")
    ports = free_ports(4)
    sites = dict(zip(names, ports[:2], strict=True))
    sockets = dict(zip(names, ports[2:], strict=True))
    hosts = []
    for name in names:
        (tmp_path / name).mkdir()
        keep = tmp_path / name / "keep"
        keep.write_text(f"#!/bin/sh\ncat > {tmp_path / name / 'split.map'}\n")
        keep.chmod(keep.stat().st_mode | stat.S_IXUSR)
        hosts.append(f'{name} = {{ socket = "127.0.0.1:{sockets[name]}", persist = ["{keep}"] }}')
    # Each host has the map at the same path of its own disk; here, a link stands for that.
    link = tmp_path / "split.map"

    def toml_for(name: str, more: str = "") -> Path:
        traffic = (
            f'[traffic]\ndriver = "haproxy"\n[traffic.haproxy]\nstate = "state"\n'
            f'map = "{link}"\nlisten = "127.0.0.1:{sites[name]}"\n'
            f'bind_socket = "127.0.0.1:{sockets[name]}"\n{more}'
        )
        return write_toml(tmp_path, apps, sites[name], traffic)

    with ExitStack() as stack:
        servers = {}
        for name in names:
            rendered = open_driver(settings.load(toml_for(name))).render()
            config = tmp_path / name / "haproxy.cfg"
            config.write_text("".join(rendered.values()))
            (tmp_path / name / "split.map").write_text(".generation 1\n.percent 0\n")
            link.unlink(missing_ok=True)
            link.symlink_to(tmp_path / name / "split.map")
            argv = [haproxy_binary, "-W", "-f", config]
            server = start(name, argv, tmp_path / name, port=sites[name])
            servers[name] = stack.enter_context(server)
        toml = toml_for("lb1", "[traffic.haproxy.hosts]\n" + "\n".join(hosts))
        yield TwoHaproxy(servers, tmp_path, toml)


def test_haproxy_hosts_follow_over_tcp_and_keep_it_for_a_restart(two_haproxy: TwoHaproxy) -> None:
    applied = two_haproxy.driver.apply(green(40, **{"7": "green"}))
    assert applied.after.split == green(40, **{"7": "green"})
    assert applied.after.detail == {"generations": {"lb1": 2, "lb2": 2}}
    for name in ("lb1", "lb2"):
        assert (
            two_haproxy.kept(name) == ".generation 2\n.percent 40\n.colours blue,green\n7 green\n"
        )


def test_a_haproxy_that_cannot_keep_it_brings_all_back(two_haproxy: TwoHaproxy) -> None:
    two_haproxy.driver.apply(green(40))
    (two_haproxy.folder / "lb2/keep").write_text("#!/bin/sh\necho disk full >&2; exit 1\n")
    with pytest.raises(TrafficError, match=r"lb2 did not follow: .*disk full"):
        two_haproxy.driver.apply(green(80))
    assert two_haproxy.driver.read().split == green(40)
    assert ".percent 40\n" in two_haproxy.kept("lb1")


def test_a_haproxy_that_is_silent_is_named(two_haproxy: TwoHaproxy) -> None:
    two_haproxy.servers["lb2"].stop()
    with pytest.raises(TrafficError, match="HAProxy lb2 does not answer"):
        two_haproxy.driver.apply(green(80))
    assert ".percent 0\n" in two_haproxy.kept("lb1")
