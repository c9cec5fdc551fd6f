"""A dry run prints every command, whatever moves the traffic."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mina_ops.cli.config import problems
from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import settings
from mina_ops.operator.release.plan import HOOKS, Choices
from mina_ops.operator.release.preview import describe
from mina_ops.operator.release.release import Site
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.mirror import Mirror
from mina_ops.operator.traffic.model import Split

BASE = """
[public]
url = "http://127.0.0.1:8080"
[colours.blue]
url = "http://127.0.0.1:5001"
aliases = ["mina-blue"]
[colours.green]
url = "http://127.0.0.1:5002"
aliases = ["mina-green"]
[colours.blue.instances]
0 = "127.0.0.1:5001"
[colours.green.instances]
0 = "127.0.0.1:5002"
"""
COMMAND = """
[traffic]
driver = "command"
[traffic.command]
weight = ["move", "{to_colour}", "{percent}"]
"""
HAPROXY = """
[traffic]
driver = "haproxy"
[traffic.haproxy]
state = "/srv/lb"
"""


NGINX = """
[traffic]
driver = "nginx"
[traffic.nginx]
state = "/srv/lb"
"""
ENVOY = NGINX.replace("nginx", "envoy")
SHADOW = "[release]\nshadow_seconds = 300\n"


def lines(text: str, version: str = "v2", choices: Choices | None = None) -> list[str]:
    found = settings.parse(tomllib.loads(BASE + text), Path("/srv/mina-ops.toml"))
    return describe(Site(found, open_driver(found)), version, found.colour("green"), choices)


def test_with_a_platforms_command_each_share_is_that_command() -> None:
    found = lines(COMMAND)
    moves = [line.strip() for line in found if line.strip().startswith("move ")]
    assert [move.split()[-1] for move in moves] == ["10", "25", "50", "100"]


def test_with_haproxy_each_share_is_written_and_committed() -> None:
    found = lines(HAPROXY)
    for share in (10, 25, 50, 100):
        assert any(f"green {share} %" in line for line in found)
    assert sum("no reload" in line for line in found) == 4


def test_every_hook_that_a_release_runs_is_printed() -> None:
    hooks = "".join(f'{hook} = ["run-{hook} {{version}}"]\n' for hook in HOOKS)
    found = [line.strip() for line in lines(f"{COMMAND}[release.hooks]\n{hooks}")]
    # The last one belongs to a release that is taken back.
    assert [hook for hook in HOOKS if f"run-{hook} v2" not in found] == ["rolled_back"]


def test_an_approval_is_printed_before_its_phase() -> None:
    found = lines(f"{COMMAND}[release.approvals]\nswitch = 3600")
    wait = "  wait up to 3600 s for `mina-ops release promote`"
    assert found[found.index("switch:") + 1] == wait


def test_a_presets_commands_name_the_deployments() -> None:
    found = lines(f'{COMMAND}[release]\npreset = "replit"')
    assert "  replit deployments start mina-green" in found
    assert "  replit deployments scale mina-green --instances 4" in found


def test_a_version_that_cannot_be_released_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot name a release"):
        lines(COMMAND, "v2; rm -rf /")


def test_users_by_name_are_refused_where_the_platform_cannot_do_it() -> None:
    with pytest.raises(ConfigurationError, match="users by name"):
        lines(f'{COMMAND}[release]\nstrategy = "cohort"\ncohort = ["12345"]')


@pytest.mark.parametrize("balancer", [NGINX, ENVOY])
def test_a_mirror_is_printed_with_what_is_judged_and_how_it_ends(balancer: str) -> None:
    found = lines(f"{balancer}{SHADOW}shadow_percent = 20")
    of_shadow = found[found.index("shadow:") : found.index("switch:")]
    mirrored = [line for line in of_shadow if "20 % of GETs mirrored to green" in line]
    assert len(mirrored) == 1
    assert any("mirrored, watch both colours for 300 s" in line for line in of_shadow)
    assert any("blue 100 %, green 0 %" in line for line in of_shadow if line not in mirrored)


def test_without_a_wish_nothing_is_mirrored() -> None:
    found = lines(NGINX)
    assert found[found.index("shadow:") + 1] == "switch:"
    chosen = lines(f"{NGINX}{SHADOW}", choices=Choices(shadow_seconds=0.0))
    assert chosen[chosen.index("shadow:") + 1] == "switch:"


@pytest.mark.parametrize("balancer", [HAPROXY, COMMAND])
def test_a_mirror_is_refused_where_the_load_balancer_has_none(balancer: str) -> None:
    told = "cannot mirror requests; nginx and envoy can. Set shadow_seconds = 0"
    with pytest.raises(ConfigurationError, match=told):
        lines(balancer + SHADOW)
    with pytest.raises(ConfigurationError, match=told):
        lines(balancer, choices=Choices(shadow_seconds=60.0))
    found = settings.parse(tomllib.loads(BASE + balancer + SHADOW), Path("/srv/mina-ops.toml"))
    assert [problem for problem in problems(found) if told in problem]
    driver = open_driver(found)
    split = Split.all_to("blue", found.colours).mirrored(Mirror("green"))
    for act in (driver.plan, driver.apply):
        with pytest.raises(ConfigurationError, match=told):
            act(split)
