"""The rules of an HTTPRoute, by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError, TrafficError
from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.gateway import matching
from mina_ops.operator.traffic.gateway import route as gateway_route
from mina_ops.operator.traffic.gateway.options import read_options
from mina_ops.operator.traffic.gateway.route import Routes, holds, split_of
from mina_ops.operator.traffic.model import Split

TOML = """\
[public]
url = "http://127.0.0.1:1"
[colours.blue]
url = "http://127.0.0.1:2"
instances = { "0" = "127.0.0.1:2", "1" = "127.0.0.1:3" }
[colours.green]
url = "http://127.0.0.1:4"
instances = { "0" = "127.0.0.1:4", "1" = "127.0.0.1:5" }
[traffic]
driver = "gateway"
[traffic.gateway]
gateway = "mina"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "mina-ops.toml"
    file.write_text(TOML)
    return file


def routes(toml: Path, more: str = "") -> Routes:
    toml.write_text(f"{TOML}{more}\n")
    loaded = settings.load(toml)
    return Routes(loaded, read_options(loaded.section("traffic", "gateway")))


def green(percent: int, cohorts: dict[str, str] | None = None) -> Split:
    return Split({"blue": 100 - percent, "green": percent}, cohorts or {})


@pytest.mark.parametrize("high", [1, 9, 10, 11, 37, 99, 100])
def test_an_expression_of_buckets_matches_just_these(high: int) -> None:
    for low in range(high):
        found = re.compile(matching.cookie("mina_key", matching.buckets(low, high)))
        keys = [f"a=b; mina_key={bucket}.9c1f; c=d" for bucket in range(100)]
        assert [bool(found.match(key)) for key in keys] == [low <= b < high for b in range(100)]
        for other in ("mina_key=visitor-7", f"xmina_key={low}.a", "mina_key=100.a", "mina_key="):
            assert not found.match(other)


def test_every_value_is_short_enough_and_every_user_is_in_one() -> None:
    ids = [f"user.{number}@example.com+{number}" for number in range(3000)]
    parts = list(matching.users(ids, 3900))
    assert max(map(len, parts)) <= 3900
    found = [re.compile(f"^({part})$") for part in parts]
    assert all(sum(bool(one.match(user)) for one in found) == 1 for user in ids)
    assert not any(one.match("user.1@exampleXcom+1") for one in found)


def test_a_route_tells_its_split_and_its_testers(toml: Path) -> None:
    split = Split({"blue": 63, "green": 37}, {"7": "green"}, {"blue": "v1", "green": "v2"})
    testers = {"blue": "a" * 64, "green": "b" * 64}
    route = routes(toml).split(split, testers)
    assert split_of(route, ["blue", "green"]) == split
    assert gateway_route.testers_of(route, {"mina-blue": "blue", "mina-green": "green"}) == testers
    with pytest.raises(TrafficError, match="in that order"):
        split_of(route, ["green", "blue"])


def test_any_other_rule_is_another_mark(toml: Path) -> None:
    fingerprints = {
        gateway_route.proof_of(routes(toml, more).split(green(share), testers))
        for share in (0, 1, 100)
        for testers in ({}, {"green": "b"})
        for more in ("", 'cookie = "other"', "port = 8080")
    }
    assert len(fingerprints) == 18
    assert None not in fingerprints


def test_more_users_than_an_httproute_holds_are_refused_with_their_number(toml: Path) -> None:
    users = {f"{number:0>40}": "green" for number in range(10_000)}
    with pytest.raises(ConfigurationError, match="no room for 10000 users by name"):
        routes(toml).split(green(0, users), {})
    ten_thousand = {f"user-{number}": "green" for number in range(10_000)}
    assert split_of(routes(toml).split(green(0, ten_thousand), {}), ["blue", "green"])


def test_more_instances_than_an_httproute_has_rules_are_refused(toml: Path) -> None:
    listed = ", ".join(f'"{n}" = "127.0.0.1:{n + 1}"' for n in range(12))
    text = TOML.replace('"0" = "127.0.0.1:2", "1" = "127.0.0.1:3"', listed)
    toml.write_text(f'{text}session_service = "mina-{{colour}}-{{instance}}"\n')
    loaded = settings.load(toml)
    with pytest.raises(ConfigurationError, match="room for 13 instances"):
        Routes(loaded, read_options(loaded.section("traffic", "gateway"))).sessions()


def test_what_the_api_server_fills_in_is_no_difference(toml: Path) -> None:
    route = routes(toml).split(green(10), {})
    filled = {**route, "spec": {**route["spec"], "hostnames": []}, "status": {}}
    assert holds(filled, route)
    assert not holds(routes(toml).split(green(11), {}), route)
    fewer = {**route, "spec": {**route["spec"], "rules": route["spec"]["rules"][:-1]}}
    assert not holds(fewer, route)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('key_header = "X-Key"', "an HTTPRoute cannot do that"),
        ('closed_paths = ["/admin"]', "an HTTPRoute cannot do that"),
        ('service = "mina"', r"must hold \{colour\}"),
        ('session_service = "sessions"', r"must hold \{colour\}"),
        ('route = "No Name"', "must look like 'mina'"),
        ('ask = "gateway:80"', "must be an address"),
        ('hostnames = ["a b"]', "must look like 'mina.example'"),
        ('gatway = "x"', "Did you mean 'gateway'"),
    ],
)
def test_a_wrong_key_is_named(toml: Path, line: str, told: str) -> None:
    toml.write_text(f"{TOML}{line}\n")
    with pytest.raises(ConfigurationError, match=told):
        open_driver(settings.load(toml))
