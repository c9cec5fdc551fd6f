"""A release over two load balancers, of which one cannot be reached in the middle of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mina_ops.operator.system import programs
from tests.operator.balancers import Balancer, nginx_in_front
from tests.operator.release.stand import QUICK, Stand, ended
from tests.support.command import MINA_OPS
from tests.support.wait import eventually

# Each look is two processes, one for each host.
WATCHED = QUICK.replace("step_seconds = 0.3", "step_seconds = 400").replace(
    "look_seconds = 0.1", "look_seconds = 1"
)
ALL_BLUE = {"blue": 100, "green": 0}


@dataclass
class TwoHosts:
    """Two nginx before the stand's colours; `away` cuts the way to the second, which serves on."""

    stand: Stand
    first: Balancer
    second: Balancer
    away: Path

    def toml(self) -> str:
        """What a controller has: no load balancer of its own, and how to reach both."""
        lines = [f'{one.folder.name} = ["{one.folder / "ssh"}"]' for one in self.members]
        return (
            f'[public]\nurl = "http://127.0.0.1:{self.first.port}"\n{colours(self.stand)}\n'
            '[traffic]\ndriver = "nginx"\n[traffic.nginx.hosts]\n' + "\n".join(lines) + WATCHED
        )

    @property
    def members(self) -> tuple[Balancer, Balancer]:
        return self.first, self.second

    def splits(self) -> list[dict[str, int]]:
        """What each of them does."""
        return [dict(one.driver.read().split.percent) for one in self.members]

    def bodies(self, member: Balancer) -> set[str]:
        """Which colours answer visitors there."""
        return {
            member.get("/", User_Agent=f"browser {number}").body.decode() for number in range(40)
        }


@dataclass
class OfTheStand:
    """The stand's colours, for a mina-ops.toml."""

    stand: Stand

    def toml(self) -> str:
        return colours(self.stand)


def colours(stand: Stand) -> str:
    """The colours' tables."""
    return "\n".join(
        f'[colours.{name}]\nurl = "{server.url}"\ninstances = {{ "0" = "{server.url[7:]}" }}\n'
        for name, server in stand.colours.items()
    )


@pytest.fixture
def hosts(stand: Stand, tmp_path: Path, nginx_binary: Path) -> Iterator[TwoHosts]:
    away = tmp_path / "away"
    with ExitStack() as running:
        members = []
        for name in ("lb1", "lb2"):
            folder = tmp_path / name
            folder.mkdir()
            one = running.enter_context(nginx_in_front(folder, OfTheStand(stand), nginx_binary))
            members.append(one)
            unreachable = f'[ -e {away} ] && {{ echo "ssh: no route to {name}" >&2; exit 255; }}\n'
            script = folder / "ssh"
            script.write_text(
                f"#!/bin/sh\n{unreachable if name == 'lb2' else ''}"
                f'exec {MINA_OPS} --config {one.toml} "$@"\n'
            )
            script.chmod(0o755)
        found = TwoHosts(stand, members[0], members[1], away)
        stand.file.write_text(found.toml())
        yield found


def test_one_that_cannot_be_reached_holds_a_release_is_left_behind_and_catches_up(
    hosts: TwoHosts,
) -> None:
    stand = hosts.stand
    hosts.away.touch()
    refused = stand.run("release", "start", "v2")
    assert refused.code != 0
    assert "lb2: ssh: no route to lb2" in refused.err
    assert hosts.splits() == [ALL_BLUE, ALL_BLUE]

    # Once it can be reached, the same command goes on.
    hosts.away.unlink()
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    hosts.away.touch()
    held = eventually(lambda: [e for e in stand.entries() if e.get("notice") == "hold"], 40)
    assert "lb2: ssh: no route to lb2" in held[0]["reason"]

    foreseen = stand.run("rollback", "--dry-run")
    assert foreseen.code == 0, foreseen.err
    assert "blue 50 %, green 50 %; lb2 cannot follow: lb2: ssh" in foreseen.out
    back = stand.run("rollback", "--json")
    assert back.code == 0, back.err
    outcome = ended(release)
    assert outcome.code == 5, outcome.err
    assert "lb2 was left behind and may still send visitors to green" in outcome.err
    looked = stand.run("status")
    assert looked.code == 7, looked.err
    assert "lb2 is left behind: lb2: ssh: no route to lb2" in looked.out
    assert "blue    100 %" in looked.out
    # Whoever comes later learns it from the release's story.
    assert "lb2 was left behind" in stand.run("release", "show").out
    assert hosts.splits() == [ALL_BLUE, {"blue": 50, "green": 50}]
    assert hosts.bodies(hosts.first) == {"blue"}
    assert hosts.bodies(hosts.second) == {"blue", "green"}

    # What the page says: stop it, and let it catch up before it serves.
    hosts.second.stop()
    hosts.away.unlink()
    caught = _on_the_second(hosts, "catch-up", "--from", str(hosts.first.folder / "ssh"))
    assert caught["split"]["percent"] == ALL_BLUE
    hosts.second.start()
    assert hosts.bodies(hosts.second) == {"blue"}
    assert hosts.splits() == [ALL_BLUE, ALL_BLUE]


def _on_the_second(hosts: TwoHosts, *arguments: str) -> dict[str, Any]:
    argv = [str(MINA_OPS), "--config", str(hosts.second.toml), "traffic", *arguments, "--json"]
    result = programs.run(argv, timeout_seconds=60)
    assert result.code == 0, result.stderr
    return dict(json.loads(result.stdout))
