"""What is Envoy's own: its files, its own words, its limits, and who is believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError, TrafficError
from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.envoy import configuration, routes
from mina_ops.operator.traffic.envoy.options import read_options
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns
from tests.operator.traffic.conftest import SharedSite
from tests.operator.traffic.test_contract import HANDSHAKE, green, sid_of, tag_of
from tests.support.envoy import envoy as envoy_program
from tests.support.needs import need
from tests.support.wait import eventually


@pytest.fixture
def envoy(shared_envoy: SharedSite) -> Balancer:
    """The Envoy of the contract, serving 100 % blue, its apps as new."""
    running, site, toml = shared_envoy
    running.as_new()
    site.as_new(toml)
    return site


@pytest.fixture
def apps(shared_envoy: SharedSite) -> StandIns:
    """The apps behind it."""
    return shared_envoy[0]


def test_a_switch_replaces_the_routes_and_no_other_file(envoy: Balancer) -> None:
    live = envoy.folder / "state/live"
    before = {path.name: path.stat().st_ino for path in live.iterdir()}
    envoy.driver.apply(green(30, **{"7": "green"}))
    after = {path.name: path.stat().st_ino for path in live.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"routes.json"}


def test_a_split_of_ten_thousand_users_is_served_and_read(envoy: Balancer) -> None:
    users = {f"user-{number}": "green" for number in range(10_000)}
    envoy.driver.apply(green(0, **users))
    assert envoy.driver.read().split == green(0, **users)
    assert envoy.get("/", X_User_ID="user-9999").colour == "green"
    assert envoy.get("/", X_User_ID="user-10000").colour == "blue"


def test_a_drain_hands_a_session_on_and_a_dead_instance_of_green_is_no_matter(
    envoy: Balancer, apps: StandIns
) -> None:
    apps.stop_instance(apps.instances["green"][0])
    eventually(lambda: apps.instances["green"][0].address in unhealthy(envoy))
    apps.fleets["blue"].drain = {"state": "draining"}
    assert {tag_of(sid_of(envoy.get(HANDSHAKE))) for _ in range(10)} == {"green.1"}


def test_a_dead_instance_costs_no_request(envoy: Balancer, apps: StandIns) -> None:
    apps.stop_instance(apps.instances["blue"][0])
    assert {envoy.get("/").status for _ in range(200)} == {200}


def unhealthy(envoy: Balancer) -> list[str]:
    found: list[str] = envoy.driver.read().detail["unhealthy"]
    return found


def test_a_handshake_that_everybody_refuses_is_shown_to_few(
    envoy: Balancer, apps: StandIns
) -> None:
    for fleet in apps.fleets.values():
        fleet.refusing = "draining"
    answer = envoy.get(HANDSHAKE)
    assert (answer.status, answer.headers["x-mina-refused"]) == (503, "draining")
    assert sum(one.seen["/socket.io/"] for one in apps.all()) <= 4


def test_a_websocket_lives_through_a_change_of_instances(envoy: Balancer, apps: StandIns) -> None:
    from tests.operator.traffic.test_contract import _exchange, _tunnel

    with _tunnel(envoy) as link:
        assert _exchange(link, b"one") == b"one"
        gone = apps.instances["green"][1]
        text = envoy.toml.read_text().replace(f', "1" = "{gone.address}"', "")
        envoy.toml.write_text(text)
        assert open_driver(envoy.settings()).install() != []
        assert _exchange(link, b"two") == b"two"


def test_what_is_no_split_is_told_with_what_to_do(envoy: Balancer) -> None:
    file = envoy.folder / "state/live/routes.json"
    text = file.read_text()
    file.write_text("{}")
    assert any("cannot be read as a split" in problem for problem in envoy.driver.check())
    with pytest.raises(TrafficError, match="traffic install"):
        envoy.driver.apply(green(10))
    file.write_text(text)
    envoy.driver.apply(green(10))


def test_a_start_with_another_file_than_is_wanted_is_told(envoy: Balancer) -> None:
    text = envoy.toml.read_text()
    envoy.toml.write_text(
        text.replace("[traffic.envoy]\n", "[traffic.envoy]\nmost_connections = 99\n")
    )
    driver = open_driver(envoy.settings())
    assert any("start Envoy anew" in problem for problem in driver.check())
    assert any("start Envoy anew" in line for line in driver.install())
    assert envoy.driver.sessions() == 50_000


def test_only_a_trusted_proxy_says_who_the_client_is(envoy: Balancer) -> None:
    said = {"X_Forwarded_For": "6.6.6.6, 203.0.113.9", "X_Forwarded_Proto": "https"}
    said["X_Forwarded_Host"] = "mina.example"
    envoy.add_option('trusted_proxies = ["10.0.0.0/8"]')
    eventually(lambda: envoy.get("/").status == 200)
    headers = envoy.get("/", **said).body["headers"]
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
    envoy.toml.write_text(envoy.toml.read_text().replace("10.0.0.0/8", "127.0.0.0/8"))
    open_driver(envoy.settings()).install()
    answer = envoy.get("/", **said)
    headers = answer.body["headers"]
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("203.0.113.9", "https")
    assert headers["host"] == "mina.example"
    assert "Secure" in answer.headers["set-cookie"]


def test_closed_paths_are_nobodys_but_for_those_inside(envoy: Balancer) -> None:
    envoy.add_option('closed_paths = ["/admin"]')
    for path in ("/admin", "/admin/flags", "/%61dmin/flags", "//admin", "/admin?x=1", "/admin.x"):
        assert envoy.get(path).status == 404, path
    assert envoy.get("/administrators").status == 200
    envoy.add_option('inside_networks = ["127.0.0.0/8"]')
    assert envoy.get("/administrators/admin").body["path"] == "/administrators/admin"
    assert envoy.get("/admin/x").status == 401


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "mina-ops.toml"
    file.write_text(
        '[public]\nurl = "http://127.0.0.1:1"\n'
        '[colours.blue]\nurl = "http://127.0.0.1:2"\ninstances = { "0" = "127.0.0.1:2" }\n'
        '[colours.green]\nurl = "http://127.0.0.1:3"\ninstances = { "0" = "127.0.0.1:3" }\n'
        '[traffic]\ndriver = "envoy"\n[traffic.envoy]\nstate = "state"\n'
    )
    return file


def test_a_configuration_that_envoy_refuses_is_taken_back_with_its_words(toml: Path) -> None:
    program = need(envoy_program)
    toml.write_text(toml.read_text() + f'program = "{program}"\naccess_log = "/no/such/log"\n')
    site = toml.parent / "state/site.json"
    with pytest.raises(TrafficError, match=r"Envoy refuses the configuration.*/no/such/log"):
        open_driver(settings.load(toml)).install()
    assert not site.exists()
    assert not (toml.parent / "state/live").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('certificate = "/a.pem"', "give certificate and certificate_key"),
        ("most_connections = 1", "most_connections"),
        ('admin_port = "9901"', "admin_port"),
    ],
)
def test_a_wrong_key_is_named(toml: Path, line: str, told: str) -> None:
    toml.write_text(f"{toml.read_text()}{line}\n")
    with pytest.raises(ConfigurationError, match=told):
        open_driver(settings.load(toml)).render()


def test_an_instance_whose_host_has_no_address_is_named(toml: Path) -> None:
    toml.write_text(toml.read_text().replace('"127.0.0.1:3"', '"green.invalid:3"'))
    with pytest.raises(ConfigurationError, match=r"green\.invalid"):
        open_driver(settings.load(toml)).render()


def test_an_instance_may_be_named_localhost(toml: Path) -> None:
    toml.write_text(toml.read_text().replace('"127.0.0.1:3"', '"localhost:3"'))
    rendered = open_driver(settings.load(toml)).render()
    assert '"localhost"' not in "".join(rendered.values())


def test_another_split_changes_nothing_else_of_the_routes(toml: Path) -> None:
    loaded = settings.load(toml)
    options = read_options(loaded.section("traffic", "envoy"))
    found = json.loads(configuration.site(loaded, options).text)
    blue = Split.all_to("blue", ["blue", "green"])
    document = json.loads(configuration.files(found, blue, 1)["routes"])
    there = green(40, **{"7": "green"})
    changed = json.loads(configuration.with_split(document, there, 2))
    assert routes.from_data(routes.data_of(changed["resources"][0]), ("blue", "green")) == (
        there,
        2,
    )
    back = json.loads(configuration.with_split(changed, blue, 1))
    assert back == json.loads(configuration.files(found, blue, 1)["routes"])
