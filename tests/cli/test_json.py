"""With `--json` the ways back print one object, whether they did it or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Run
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns


def refused(ran: Ran, error: str, code: int, *named: str) -> None:
    """One object says why, in the words of stderr, and names what to type."""
    value = ran.json
    assert ran.out.count("\n") == 1
    assert (value["error"], value["exit_code"], ran.code) == (error, code, code)
    assert value["message"] in ran.err
    assert [word for word in named if word not in value["message"]] == []


def test_a_rollback_of_nothing_names_the_one_that_might_be_meant(run: Run) -> None:
    for options in ((), ("--dry-run",)):
        refused(run("rollback", *options, "--json"), "configuration", 2, "`mina-ops rollback --to")
    refused(run("rollback", "--to", "red", "--json"), "configuration", 2, "blue and green")


def test_a_rollback_by_hand_says_where_traffic_is(run: Run, nginx: Balancer) -> None:
    run("switch", "blue", "green", "--canary", "50")
    foreseen = run("rollback", "--to", "blue", "--dry-run", "--json").json
    assert {"from", "to", "problem"} <= foreseen.keys()
    done = run("rollback", "--to", "blue", "--json")
    assert done.code == 0
    assert (done.json["aborted"], done.json["phase"], done.json["from"]) == (
        True,
        "rolled_back",
        "blue",
    )
    assert nginx.driver.read().split.percent == {"blue": 100, "green": 0}


def test_one_that_would_stay_says_what_it_foresees_as_its_one_object(
    run: Run, apps: StandIns
) -> None:
    run("switch", "blue", "green", "--instant")
    for instance in apps.instances["blue"]:
        apps.stop_instance(instance)
    ran = run("rollback", "--to", "blue", "--dry-run", "--json")
    assert ran.code == 7
    assert ran.json["problem"]
    assert "It would not go back now" in ran.err


def test_an_abort_of_nothing_is_no_failure(run: Run) -> None:
    assert run("release", "abort", "--dry-run", "--json").json["aborted"] is False
    ran = run("release", "abort", "--json")
    assert (ran.code, ran.json["aborted"]) == (0, False)
    assert "`mina-ops rollback --to" in ran.json["reason"]


def test_a_switch_to_what_is_not_ready_names_the_option(run: Run, apps: StandIns) -> None:
    for instance in apps.instances["green"]:
        instance.ready = False
    refused(run("switch", "blue", "green", "--instant", "--json"), "unhealthy", 3, "--force")
    assert run("switch", "blue", "green", "--instant", "--dry-run", "--json").json["dry_run"]
    refused(run("switch", "blue", "blue", "--instant", "--json"), "configuration", 2, "two colours")
    refused(run("switch", "blue", "green", "--json"), "usage", 2, "--instant")


def test_a_switch_over_a_dead_balancer_says_so(run: Run, nginx: Balancer) -> None:
    nginx.stop()
    refused(run("switch", "blue", "green", "--instant", "--json"), "traffic", 7)


def test_a_cancelled_drain_says_that_it_serves_or_what_to_type(
    run: Run, apps: StandIns, nginx: Balancer
) -> None:
    assert run("drain", "blue", "--cancel", "--dry-run", "--json").json["request"].startswith("DEL")
    value = run("drain", "blue", "--cancel", "--json").json
    assert (value["colour"], value["state"]) == ("blue", "serving")
    again = "`mina-ops drain blue --cancel`"
    refused(run("drain", "blue", "--cancel", "--json", token=None), "access_denied", 8, again)
    for instance in apps.instances["blue"]:
        apps.stop_instance(instance)
    refused(run("drain", "blue", "--cancel", "--json"), "unreachable", 3, again)
    refused(run("drain", "blue", "--cancel", "--wait", "--json"), "usage", 2, "--wait")


@pytest.mark.parametrize(
    "command", [("rollback",), ("switch", "green", "blue", "--instant"), ("status",)]
)
def test_a_file_that_is_no_toml_is_told_in_the_same_form(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[colours")
    ran = run(*command, "--json", config=file)
    assert ran.code == json.loads(ran.out)["exit_code"] == 2


def test_without_json_stdout_stays_empty(run: Run) -> None:
    ran = run("rollback")
    assert (ran.code, ran.out) == (2, "")
