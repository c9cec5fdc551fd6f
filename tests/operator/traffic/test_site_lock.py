"""One site, one lock: two copies of mina-ops.toml, or an app that is away, change nothing."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mina_ops.errors import Locked, TrafficError
from mina_ops.operator.config import settings
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.site_lock import Places, SiteLock, held_by, is_dead, new_holder
from mina_ops.operator.traffic.state_lock import StateLock
from mina_ops.operator.traffic.watching import Sight, TakeOut
from tests.operator.balancers import Balancer
from tests.operator.stand_in import TOKEN, StandIns
from tests.support.command import MINA_OPS
from tests.support.wait import eventually


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINA_OPS_TOKEN", TOKEN)


def places(nginx: Balancer) -> Places:
    return Places(nginx.settings(), nginx.driver)


def command(toml: Path, *arguments: str) -> tuple[int, str]:
    done = programs.run([MINA_OPS, "--config", str(toml), *arguments], timeout_seconds=60)
    return done.code, done.stdout + done.stderr


def copied(nginx: Balancer) -> Path:
    """The same site from another folder; its balancer's state stays where it is."""
    folder = nginx.folder / "copy"
    folder.mkdir()
    text = nginx.toml.read_text().replace('state = "state"', f'state = "{nginx.folder}/state"')
    (folder / "mina-ops.toml").write_text(text)
    for name in ("nginx.conf",):
        shutil.copy(nginx.folder / name, folder / name)
    return folder / "mina-ops.toml"


def test_two_copies_of_the_settings_are_one_site(nginx: Balancer) -> None:
    with SiteLock(places(nginx), "release v2") as lock:
        code, text = command(copied(nginx), "switch", "blue", "green", "--canary", "20")
        assert (code, "release v2 has the site" in text) == (4, True)
        lock.require_held()
    assert (
        command(nginx.folder / "copy/mina-ops.toml", "switch", "blue", "green", "--instant")[0] == 0
    )
    assert nginx.driver.read().split.percent["green"] == 100


def test_the_lock_beside_the_balancer_holds_while_the_app_is_away(
    nginx: Balancer, apps: StandIns
) -> None:
    for one in apps.all():
        apps.stop_instance(one)
    with SiteLock(places(nginx), "recover") as lock:
        assert lock.is_held
        assert any("cannot be reached" in failure for failure in lock.failures)
        with pytest.raises(Locked, match="recover has the site"):
            SiteLock(places(nginx), "switch", wait_seconds=0).__enter__()


def test_the_lease_holds_where_the_balancers_state_cannot_be_written(nginx: Balancer) -> None:
    class Elsewhere(type(nginx.driver)):  # type: ignore[misc]
        def _state_lock(self) -> StateLock:
            return StateLock(Path("/proc/nothing/holder.json"))

    driver = Elsewhere.from_settings(nginx.settings())
    with pytest.raises(TrafficError):
        driver.hold(new_holder("a switch"))
    with SiteLock(Places(nginx.settings(), driver), "release v2") as lock:
        assert lock.is_held
        with pytest.raises(Locked, match="release v2"):
            SiteLock(Places(nginx.settings(), driver), "switch", wait_seconds=0).__enter__()


def test_whose_process_has_ended_is_no_obstacle(nginx: Balancer) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    dead = replace(new_holder("release v2"), pid=child)
    assert (is_dead(dead), is_dead(new_holder("release v3"))) == (True, False)
    assert places(nginx).take(dead).places == 2
    with SiteLock(places(nginx), "switch", wait_seconds=0) as lock:
        assert lock.is_held


def test_a_holder_from_elsewhere_is_free_when_its_time_is_up(nginx: Balancer) -> None:
    lock = StateLock(nginx.folder / "holder.json")
    person = new_holder("upgrade", ttl_seconds=1.0, outlives_process=True)
    assert lock.hold(person) == person
    other = new_holder("switch")
    assert lock.hold(other).id == person.id
    eventually(lambda: lock.hold(other).id == other.id)


def test_who_was_broken_learns_it_before_the_next_move(nginx: Balancer) -> None:
    with SiteLock(places(nginx), "release v2") as first:
        first.require_held()
        places(nginx).break_(first.mine.id)
        with pytest.raises(Locked, match="was broken meanwhile"):
            first.require_held()
        with SiteLock(places(nginx), "somebody else", wait_seconds=0) as second:
            second.require_held()
            with pytest.raises(Locked, match="broken meanwhile"):
                first.require_held()
    assert set(places(nginx).holders().values()) == {None}


def test_the_command_shows_acquires_and_breaks(nginx: Balancer) -> None:
    assert command(nginx.toml, "lock")[1] == "load_balancer: free\napp: free\n"
    assert command(nginx.toml, "lock", "acquire", "-m", "disk swap")[0] == 0
    assert command(nginx.toml, "lock")[1].count("disk swap has the site") == 2
    assert command(nginx.toml, "lock", "acquire", "-m", "me too")[0] == 4
    assert command(nginx.toml, "switch", "blue", "green", "--instant")[0] == 4
    code, text = command(nginx.toml, "switch", "blue", "green", "--instant", "--force")
    assert (code, "moves without a lock. disk swap" in text) == (0, True)
    assert command(nginx.toml, "traffic", "weight", "blue", "100")[0] == 4
    code, text = command(nginx.toml, "lock", "break")
    assert (code, "broken: disk swap" in text) == (0, True)
    assert command(nginx.toml, "lock", "break") == (0, "it was free\n")
    assert command(nginx.toml, "traffic", "weight", "blue", "100")[0] == 0


def test_a_sick_colour_is_taken_out_once_a_release_lets_go(nginx: Balancer) -> None:
    taker = TakeOut(nginx.settings(), nginx.driver)
    down = Sight("blue", healthy=False, detail="", up=False, flipped=True)
    with SiteLock(places(nginx), "release v2"), pytest.raises(Locked, match="release v2"):
        taker.act(down)
    assert "taken out" in (taker.act(replace(down, flipped=False)) or "")
    assert taker.act(replace(down, flipped=False)) is None
    assert nginx.driver.read().split == Split({"blue": 0, "green": 100})


def test_a_controllers_own_id_lets_its_hosts_follow(nginx: Balancer) -> None:
    mine = new_holder("release v2")
    assert nginx.driver.hold(mine) == mine
    split = nginx.folder / "split.json"
    split.write_text('{"percent": {"blue": 40, "green": 60}}')
    apply = ("traffic", "apply", "--split", str(split))
    assert command(nginx.toml, *apply, "--lock", "somebody-else")[0] == 4
    assert command(nginx.toml, *apply, "--lock", mine.id)[0] == 0
    assert "release v2" in held_by(mine)
    assert open_driver(settings.load(nginx.toml)).holder() is not None
