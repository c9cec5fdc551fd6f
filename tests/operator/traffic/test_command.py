"""A platform behind its own commands: here, scripts that move a real nginx."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from mina_ops.errors import ConfigurationError, ToolMissing, TrafficError
from mina_ops.operator.config import settings
from mina_ops.operator.traffic import command, open_driver
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer, nginx_in_front, write_toml
from tests.operator.stand_in import StandIns
from tests.support.command import MINA_OPS


def green(percent: int, **cohorts: str) -> Split:
    return Split({"blue": 100 - percent, "green": percent}, cohorts)


@dataclass
class Platform:
    """The platform's folder, its nginx, and mina-ops.toml with the command driver."""

    folder: Path
    nginx: Balancer
    apps: StandIns
    monkeypatch: pytest.MonkeyPatch

    def driver(self, table: str) -> TrafficDriver:
        traffic = f'[traffic]\ndriver = "command"\n[traffic.command]\nseconds = 60\n{table}'
        toml = write_toml(self.folder, self.apps, self.nginx.port, traffic)
        return open_driver(settings.load(toml))

    def program(self, name: str, text: str) -> None:
        """A program of the platform, on PATH."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nset -e\necho "$0 $*" >> {self.folder}/calls\n{text}\n')
        path.chmod(0o755)
        self.monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    @property
    def ops(self) -> str:
        """mina-ops over the platform's nginx, for a shell."""
        return shlex.join([str(MINA_OPS), "--config", str(self.nginx.toml)])

    def calls(self) -> list[str]:
        text = (self.folder / "calls").read_text()
        return [line.rpartition("/")[2] for line in text.splitlines()]


@pytest.fixture
def platform(
    tmp_path: Path, apps: StandIns, nginx_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    place = tmp_path / "platform"
    place.mkdir()
    with nginx_in_front(place, apps, nginx_binary) as nginx:
        yield Platform(tmp_path, nginx, apps, monkeypatch)


def test_the_playbooks_replit_line_switches(platform: Platform) -> None:
    platform.program("replit", f"{platform.ops} switch $4 $6 --instant >/dev/null")
    driver = platform.driver('preset = "replit"')
    line = "replit deployments switch --from mina-blue --to mina-green --confirm"
    assert driver.plan(green(100)) == [line]
    assert driver.check() == []
    applied = driver.apply(green(100))
    assert platform.calls() == [line]
    assert (applied.before, applied.after.split) == (green(0), green(100))
    assert applied.after.proven
    assert platform.nginx.get("/").colour == "green"
    driver.apply(green(100))
    assert len(platform.calls()) == 1
    driver.apply(green(0))
    assert platform.calls()[1].endswith("--from mina-green --to mina-blue --confirm")


def test_a_platform_that_can_only_switch_refuses_shares_and_users(platform: Platform) -> None:
    driver = platform.driver('preset = "replit"')
    with pytest.raises(ConfigurationError, match="needs `weight` or `apply`"):
        driver.apply(green(10))
    with pytest.raises(ConfigurationError, match="users by name need `apply`"):
        driver.apply(green(100, **{"7": "blue"}))
    assert platform.nginx.get("/").colour == "blue"


def test_shares_go_to_the_weight_command(platform: Platform) -> None:
    platform.program("weigh", f"{platform.ops} traffic weight $1 $2 >/dev/null")
    driver = platform.driver('weight = ["weigh", "{to_colour}", "{percent}", "{from_percent}"]')
    applied = driver.apply(green(25))
    assert platform.calls() == ["weigh green 25 75"]
    assert platform.nginx.driver.read().split == green(25)
    assert applied.after.split == green(25)
    assert not applied.after.proven
    assert driver.apply(green(30)).after.generation == 2


def test_a_whole_split_goes_in_as_json_and_is_read_back(platform: Platform) -> None:
    platform.program("apply-split", f"{platform.ops} traffic apply")
    platform.program("read-split", f"{platform.ops} traffic read --json")
    driver = platform.driver('apply = ["apply-split"]\nread = ["read-split"]')
    applied = driver.apply(green(37, **{"7": "green"}))
    assert applied.after.split == green(37, **{"7": "green"})
    assert applied.after.proven
    assert platform.nginx.get("/", X_User_ID="7").colour == "green"
    platform.nginx.driver.apply(green(1))
    assert driver.read().split == green(1)


def test_a_command_that_fails_is_undone(platform: Platform) -> None:
    platform.program(
        "replit",
        f'[ "$6" = mina-blue ] || {{ echo "quota exceeded" >&2; exit 1; }}; {platform.ops}'
        " switch $4 $6 --instant",
    )
    with pytest.raises(TrafficError, match=r"quota exceeded.*blue 100 %, green 0 % was ordered"):
        platform.driver('preset = "replit"').apply(green(100))
    assert platform.calls()[-1].endswith("--from mina-green --to mina-blue --confirm")
    assert platform.nginx.get("/").colour == "blue"


def test_a_command_that_only_claims_is_found_out(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.program("replit", "exit 0")
    later = itertools.count(step=20)
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: next(later)))
    with pytest.raises(TrafficError, match=r"ended well and after 60 s traffic is not blue 0 %"):
        platform.driver('preset = "replit"').apply(green(100))
    assert platform.nginx.get("/").colour == "blue"


def test_a_platform_that_cannot_go_back_says_so(platform: Platform) -> None:
    platform.program("replit", "echo broken >&2; exit 1")
    with pytest.raises(TrafficError, match=r"Going back to blue 100 %, green 0 % failed as well"):
        platform.driver('preset = "replit"').apply(green(100))


def test_a_missing_program_is_named_and_nothing_is_tried(platform: Platform) -> None:
    driver = platform.driver('switch = ["no-such-cli", "{to}"]')
    with pytest.raises(ToolMissing, match="no-such-cli is not installed"):
        driver.check()
    with pytest.raises(ToolMissing, match="no-such-cli is not installed"):
        driver.apply(green(100))


def test_a_public_address_that_is_silent_is_an_error(platform: Platform) -> None:
    platform.nginx.stop()
    platform.program("replit", "exit 0")
    driver = platform.driver('preset = "replit"')
    with pytest.raises(TrafficError, match="The public address cannot be reached"):
        driver.read()
    assert "The public address" in driver.check()[0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "give switch, weight or apply, or preset"),
        ('preset = "replitt"', r"'replitt' is none of none, replit"),
        ('switch = ["x", "{target}"]', r"unknown \{target\}; known: \{from\}"),
        ('switch = "x {to}"', "must be a list"),
        ('swich = ["x"]\nweight = ["x"]', "swich: unknown key"),
    ],
)
def test_options_that_do_not_fit_are_named(platform: Platform, table: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        platform.driver(table)
