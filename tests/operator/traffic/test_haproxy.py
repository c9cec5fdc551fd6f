"""What only HAProxy can get wrong: state that a reload forgets, maps too large for one command."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError, ToolMissing, TrafficError
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.haproxy.options import Endpoint
from mina_ops.operator.traffic.haproxy.runtime import HaproxyRuntime
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer, haproxy_in_front, sid_of, tag_of
from tests.operator.stand_in import StandIns
from tests.operator.traffic.killed_applier import applier
from tests.support.wait import eventually

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


def green(percent: int, **cohorts: str) -> Split:
    return Split({"blue": 100 - percent, "green": percent}, cohorts)


@pytest.fixture
def haproxy(tmp_path: Path, apps: StandIns, haproxy_binary: Path) -> Iterator[Balancer]:
    with haproxy_in_front(tmp_path, apps, haproxy_binary) as balancer:
        yield balancer


def runtime(haproxy: Balancer) -> HaproxyRuntime:
    state = haproxy.folder / "state"
    endpoint = Endpoint(name="haproxy", socket=str(state / "haproxy.sock"))
    return HaproxyRuntime(endpoint, state / "split.map")


def test_a_reload_forgets_nothing(haproxy: Balancer) -> None:
    haproxy.driver.apply(green(40, **{"7": "green"}))
    haproxy.toml.write_text(haproxy.toml.read_text() + "\nread_timeout_seconds = 61\n")
    driver = open_driver(haproxy.settings())
    assert "serves configuration" in driver.install()[-1]
    assert driver.read().split == green(40, **{"7": "green"})


def test_thousands_of_users_by_name_fit(haproxy: Balancer) -> None:
    users = {f"user-{number:05d}@mina.example": "green" for number in range(5000)}
    haproxy.driver.apply(green(0, **users))
    assert haproxy.driver.read().split.cohorts == users
    assert haproxy.get("/", X_User_ID="user-04999@mina.example").colour == "green"
    assert haproxy.get("/", X_User_ID="user-05000@mina.example").colour == "blue"


def test_a_split_that_only_the_runtime_knows_is_found_and_healed(haproxy: Balancer) -> None:
    haproxy.driver.apply(green(40))
    kept = haproxy.folder / "state/split.map"
    kept.write_text(".generation 1\n.percent 0\n")
    assert any("a restart would read" in problem for problem in haproxy.driver.check())
    haproxy.driver.apply(green(40))
    assert haproxy.driver.check() == []
    assert ".percent 40\n" in kept.read_text()


def test_a_map_that_is_no_split_is_an_error(haproxy: Balancer) -> None:
    runtime(haproxy).replace({".generation": "9", ".percent": "lots"})
    with pytest.raises(TrafficError, match="holds no split"):
        haproxy.driver.read()
    runtime(haproxy).replace({"7": "green"})
    with pytest.raises(TrafficError, match="has no split"):
        haproxy.driver.apply(green(3))


def test_a_split_that_cannot_be_kept_is_not_applied(haproxy: Balancer) -> None:
    kept = haproxy.folder / "state/split.map"
    kept.unlink()
    kept.mkdir()
    with pytest.raises(TrafficError, match="Traffic is as it was"):
        haproxy.driver.apply(green(40))
    assert haproxy.driver.read().split == green(0)


def test_a_controller_killed_at_any_step_leaves_a_whole_split(haproxy: Balancer) -> None:
    whole = [green(0), green(3, **{"12345": "green"})]
    killed = 0
    with applier(haproxy.toml, 3) as apply_until:
        while (ending := apply_until(killed + 1)) != 0:
            assert ending == -signal.SIGKILL
            killed += 1
            assert haproxy.driver.read().split in whole, f"killed before step {killed}"
            haproxy.driver.apply(green(0))
            assert haproxy.driver.check() == []
    assert killed >= 10
    assert haproxy.driver.read().split == whole[1]


def test_an_instance_that_is_not_ready_gets_no_plain_request(
    haproxy: Balancer, apps: StandIns
) -> None:
    apps.instances["blue"][0].ready = False

    def quiet() -> bool:
        return {haproxy.get("/").body["instance"] for _ in range(12)} == {"1"}

    eventually(quiet, 10, "HAProxy kept sending to an instance that is not ready")


def test_handshakes_are_spread_over_the_colours_own_instances(
    haproxy: Balancer, apps: StandIns
) -> None:
    takers = Counter(tag_of(sid_of(haproxy.get(HANDSHAKE))) for _ in range(60))
    assert set(takers) == {"blue.0", "blue.1"}
    apps.stop_instance(apps.instances["blue"][0])
    answers = [haproxy.get(HANDSHAKE) for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    eventually(lambda: tag_of(sid_of(haproxy.get(HANDSHAKE))) == "blue.1", 5)


def test_a_cancelled_drain_takes_handshakes_again(haproxy: Balancer, apps: StandIns) -> None:
    def taker() -> str:
        answer = haproxy.get(HANDSHAKE)
        return tag_of(sid_of(answer)) if answer.status == 200 else ""

    apps.fleets["blue"].drain = {"state": "draining"}
    eventually(lambda: taker().startswith("green"), 10, "green got no handshakes")
    apps.fleets["blue"].drain = {"state": "serving"}
    eventually(lambda: taker().startswith("blue"), 10, "blue got no handshakes back")


def test_a_configuration_that_haproxy_refuses_is_taken_back(
    haproxy: Balancer, tmp_path: Path
) -> None:
    config = haproxy.folder / "state/haproxy.cfg"
    before = config.read_text()
    bad = tmp_path / "no-certificate.pem"
    haproxy.toml.write_text(haproxy.toml.read_text() + f'\ncertificate = "{bad}"\n')
    with pytest.raises(TrafficError, match=r"HAProxy refuses the configuration.*ALERT"):
        open_driver(haproxy.settings()).install()
    assert config.read_text() == before
    assert haproxy.driver.check() == []


def test_a_missing_haproxy_is_named(haproxy: Balancer) -> None:
    text = haproxy.toml.read_text()
    haproxy.toml.write_text(text.replace("program = ", 'program = "haproxy-not-here" #'))
    driver = open_driver(haproxy.settings())
    (haproxy.folder / "state/haproxy.cfg").write_text("# something else\n")
    with pytest.raises(ToolMissing, match="haproxy-not-here is not installed"):
        driver.install()
    assert driver.apply(green(3)).after.split == green(3)


def test_a_reload_that_cannot_be_ordered_is_an_error(haproxy: Balancer) -> None:
    (haproxy.folder / "haproxy.pid").unlink()
    before = (haproxy.folder / "state/haproxy.cfg").read_text()
    haproxy.toml.write_text(haproxy.toml.read_text() + "\nread_timeout_seconds = 61\n")
    with pytest.raises(TrafficError, match="names no running HAProxy"):
        open_driver(haproxy.settings()).install()
    assert (haproxy.folder / "state/haproxy.cfg").read_text() == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('user = "root; evil"', r"traffic.haproxy.user: .* must look like"),
        ('socket = "/tmp/a b"', r"traffic.haproxy.socket: .* must hold"),
        ("hosts = { lb1 = {} }", r"traffic.haproxy.hosts.lb1.socket: is missing"),
        ('colour = "red"', r"traffic.haproxy.colour: unknown key"),
    ],
)
def test_options_that_do_not_fit_are_named(haproxy: Balancer, line: str, message: str) -> None:
    haproxy.toml.write_text(f"{haproxy.toml.read_text()}\n{line}\n")
    with pytest.raises(ConfigurationError, match=message):
        open_driver(haproxy.settings())
