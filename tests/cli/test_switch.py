"""`mina-ops switch` and `mina-ops traffic`: what they do, and that a refusal changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mina_ops.operator.traffic.model import Split
from tests.cli.conftest import Run
from tests.operator.balancers import Balancer
from tests.operator.stand_in import TOKEN, StandIns
from tests.support.command import MINA_OPS


def green(nginx: Balancer) -> int:
    return nginx.driver.read().split.percent["green"]


def test_the_canary_is_the_share_of_the_colour_named_second(run: Run, nginx: Balancer) -> None:
    ran = run("switch", "blue", "green", "--canary", "10")
    assert ran.code == 0
    assert ran.out.startswith("blue 100 %, green 0 % -> blue 90 %, green 10 % in ")
    assert ran.out.endswith(" ms\n")
    assert run("switch", "green", "blue", "--canary", "75").code == 0
    assert green(nginx) == 25


def test_a_switch_loads_nothing_that_it_does_not_need(nginx: Balancer) -> None:
    """On a busy machine what is imported is most of its time."""
    argv = [sys.executable, "-X", "importtime", MINA_OPS, "switch", "blue", "green", "--instant"]
    environment = {**os.environ, "MINA_OPS_TOKEN": TOKEN, "MINA_OPS_CONFIG": str(nginx.toml)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "httpx" in loaded
    assert not loaded & {"rich", "pygments", "psutil", "mina_ops.operator.release.plan"}


def test_an_instant_switch_moves_everybody_and_forgets_users_by_name(
    run: Run, nginx: Balancer
) -> None:
    run("switch", "blue", "green", "--cohort", "12345, 67890")
    assert nginx.get("/", X_User_ID="67890").colour == "green"
    assert dict(nginx.driver.read().split.cohorts) == {"12345": "green", "67890": "green"}
    value = run("switch", "mina-green", "mina-blue", "--instant", "--json").json
    assert value["after"] == {"percent": {"blue": 100, "green": 0}, "cohorts": {}}
    assert value["before"]["cohorts"] == {"12345": "green", "67890": "green"}
    assert value["milliseconds"] > 0
    assert value["proven"]


def test_pages_are_kept_with_their_release_until_it_is_forgotten(
    run: Run, nginx: Balancer, apps: StandIns
) -> None:
    apps.fleets["green"].version = "v2.0.0"
    after = run("switch", "blue", "green", "--instant", "--json").json["after"]
    assert after["releases"] == {"blue": "v1.0.0", "green": "v2.0.0"}
    assert nginx.get("/api", X_Mina_Release="v1.0.0").colour == "blue"
    assert run("traffic", "forget", "blue").out == "pages are kept with: v2.0.0\n"
    assert nginx.get("/api", X_Mina_Release="v1.0.0").colour == "green"
    assert "v1.0.0" not in run("traffic", "read", "--json").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("blue", "purple", "--instant"), 2, "No colour 'purple'"),
        (("blue", "mina-blue", "--instant"), 2, "name two colours"),
        (("blue", "green", "--canary", "101"), 2, "101 is not in the range 0<=x<=100"),
        (("blue", "green", "--canary", "-1"), 2, "-1 is not in the range"),
        (("blue", "green", "--canary", "ten"), 2, "'ten' is not a valid integer"),
        (("blue", "green"), 2, "Give one of --instant"),
        (("blue", "green", "--instant", "--canary", "5"), 2, "Give one of --instant"),
        (("blue", "green", "--cohort", "../x"), 2, "cannot be a user id"),
        (("blue", "green", "--cohort", ""), 2, "cannot be a user id"),
        (("blue",), 2, "Missing argument 'TO'"),
    ],
)
def test_wrong_usage_is_explained_and_changes_nothing(
    run: Run, nginx: Balancer, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = nginx.driver.read()
    ran = run("switch", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert nginx.driver.read() == before


def test_a_colour_that_is_not_ready_gets_nothing(run: Run, nginx: Balancer, apps: StandIns) -> None:
    apps.instances["green"][1].ready = False
    ran = run("switch", "blue", "green", "--instant")
    assert ran.code == 3
    assert "green instance 1 is not ready (draining)" in ran.err
    assert "Traffic is as it was" in ran.err
    assert green(nginx) == 0
    forced = run("switch", "blue", "green", "--canary", "10", "--force")
    assert forced.code == 0
    assert "Going on: --force" in forced.err
    assert green(nginx) == 10


def test_a_colour_that_is_gone_gets_nothing(run: Run, nginx: Balancer, apps: StandIns) -> None:
    for instance in apps.instances["green"]:
        apps.stop_instance(instance)
    ran = run("switch", "blue", "green", "--canary", "10")
    assert ran.code == 3
    assert "cannot be reached" in ran.err
    assert green(nginx) == 0


def test_traffic_can_be_taken_from_a_colour_that_is_gone(
    run: Run, nginx: Balancer, apps: StandIns
) -> None:
    nginx.driver.apply(Split({"blue": 50, "green": 50}))
    for instance in apps.instances["green"]:
        apps.stop_instance(instance)
    assert run("switch", "green", "blue", "--instant").code == 0
    assert green(nginx) == 0


def test_the_colour_that_gets_more_is_asked_whichever_was_named(
    run: Run, nginx: Balancer, apps: StandIns
) -> None:
    """`--canary 10` to green from 50 sends more to blue, so blue must be ready."""
    nginx.driver.apply(Split({"blue": 50, "green": 50}))
    apps.instances["blue"][0].ready = False
    assert run("switch", "blue", "green", "--canary", "10").code == 3
    assert green(nginx) == 50


def test_a_dry_run_says_what_and_does_nothing(run: Run, nginx: Balancer, apps: StandIns) -> None:
    apps.fleets["green"].version = "v2.0.0"
    before = nginx.driver.read()
    ran = run("switch", "blue", "green", "--canary", "25", "--dry-run")
    assert ran.code == 0
    assert "blue 75 %, green 25 %" in ran.out
    assert "rename" in ran.out
    value = run("switch", "blue", "green", "--canary", "25", "--dry-run", "--json").json
    assert value["dry_run"]
    assert value["after"]["percent"]["green"] == 25
    assert nginx.driver.read() == before
    assert value["after"]["releases"] == {"blue": "v1.0.0", "green": "v2.0.0"}
    assert (
        run("switch", "blue", "green", "--canary", "25", "--json").json["after"] == value["after"]
    )


def test_a_dead_nginx_is_exit_7_and_traffic_stays(run: Run, nginx: Balancer) -> None:
    nginx.stop()
    ran = run("switch", "blue", "green", "--instant")
    assert ran.code == 7
    assert "nginx does not answer at its control address" in ran.err
    nginx.start()
    assert green(nginx) == 0


def test_a_missing_nginx_is_exit_6(run: Run, nginx: Balancer) -> None:
    text = nginx.toml.read_text()
    nginx.toml.write_text(text.replace("program = ", 'program = "nginx-not-here" # '))
    for command in ("check", "install"):
        (nginx.folder / "state/mina.conf").write_text("# something else\n")
        ran = run("traffic", command)
        assert ran.code == 6
        assert "nginx-not-here is not installed" in ran.err
        assert "traffic.nginx.program" in ran.err
    assert (nginx.folder / "state/mina.conf").read_text() == "# something else\n"
    assert nginx.get("/").status == 200


def test_a_broken_configuration_is_exit_7_and_serves_on(run: Run, nginx: Balancer) -> None:
    main = nginx.folder / "nginx.conf"
    main.write_text(main.read_text() + "nonsense;\n")
    nginx.toml.write_text(nginx.toml.read_text() + 'max_body = "17m"\n')
    ran = run("traffic", "install")
    assert ran.code == 7
    assert 'unknown directive "nonsense' in ran.err or "unexpected end" in ran.err
    check = run("traffic", "check", "--json")
    assert check.code == 7
    assert not check.json["ready"]
    assert nginx.get("/").status == 200


def test_traffic_is_read_rendered_and_checked(run: Run, nginx: Balancer) -> None:
    assert run("traffic", "read").out == ("blue 100 %, green 0 % (generation 1, read back)\n")
    assert run("traffic", "read", "--json").json["split"]["percent"] == {"blue": 100, "green": 0}
    rendered = run("traffic", "render").out
    assert rendered.strip() == (nginx.folder / "state/mina.conf").read_text().strip()
    assert run("traffic", "check").out == "ready\n"
    assert run("traffic", "install").out == "nothing to do\n"
    dry = run("traffic", "install", "--dry-run", "--json").json
    assert dry["dry_run"]


def test_a_weight_is_the_share_of_the_colour_named(run: Run, nginx: Balancer) -> None:
    assert run("traffic", "weight", "green", "25").code == 0
    assert green(nginx) == 25
    assert run("traffic", "weight", "mina-blue", "100").code == 0
    assert green(nginx) == 0
    assert run("traffic", "weight", "green", "200").code == 2


def test_a_whole_split_is_applied_from_a_file(run: Run, nginx: Balancer, tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    split = Split({"blue": 60, "green": 40}, {"7": "blue"})
    file.write_text(json.dumps(split.to_json()))
    assert run("traffic", "apply", "--split", str(file), "--json").json["generation"] == 2
    assert nginx.driver.read().split == split
    for wrong in ("", "[]", '{"percent": {"red": 60, "green": 40}}'):
        file.write_text(wrong)
        assert run("traffic", "apply", "--split", str(file)).code == 2
    assert nginx.driver.read().split == split


def test_an_unreadable_state_folder_is_named(run: Run, nginx: Balancer) -> None:
    shutil.rmtree(nginx.folder / "state/splits")
    ran = run("switch", "blue", "green", "--instant")
    assert ran.code == 7
    assert "traffic check" in ran.err


def test_a_frozen_nginx_is_exit_7(
    run: Run, nginx: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINA_OPS_PATIENCE", "0.2")
    nginx.server.pause()
    try:
        ran = run("switch", "blue", "green", "--instant")
    finally:
        nginx.server.resume()
    monkeypatch.setenv("MINA_OPS_PATIENCE", "10")
    assert ran.code == 7
    assert green(nginx) == 0
