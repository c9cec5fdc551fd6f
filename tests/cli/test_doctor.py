"""`mina-ops doctor` over a real nginx and stand-in colours."""

from __future__ import annotations

from pathlib import Path

from mina_ops.cli import doctor
from mina_ops.operator.doctor.examine import EXAMINERS
from tests.cli.conftest import Run
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns


def findings(run: Run, *areas: str, **options: object) -> list[tuple[str, str, str]]:
    ran = run("doctor", *areas, "--json", **options)
    return [(f["area"], f["state"], f["text"]) for f in ran.json["findings"]]


def test_a_site_without_fault_is_exit_0(run: Run, apps: StandIns) -> None:
    ran = run("doctor", "file", "app", "balancer", "--json")
    assert (ran.code, ran.json["faults"]) == (0, 0), ran.out


def test_whatever_can_be_looked_at_is_looked_at() -> None:
    assert ("file", *EXAMINERS) == doctor._AREAS


def test_each_instance_is_asked_by_its_own_address(run: Run, apps: StandIns) -> None:
    apps.stop_instance(apps.instances["green"][0])
    ran = run("doctor", "app")
    assert ran.code == 11
    assert "green 0 cannot be reached" in ran.out


def test_a_wrong_token_is_told_with_what_to_do(run: Run) -> None:
    ran = run("doctor", "app", token="mina_wrong")
    assert ran.code == 11
    assert "-> give both colours the same MINA_OPS_ADMIN_TOKENS" in ran.out


def test_a_load_balancer_that_is_away_is_told(run: Run, nginx: Balancer) -> None:
    nginx.stop()
    areas = {area for area, state, _ in findings(run, "balancer") if state == "fault"}
    assert {"balancer", "public"} <= areas


def test_a_table_that_nobody_reads_is_a_fault(run: Run, nginx: Balancer, tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text(nginx.toml.read_text() + "\n[relase]\nstep = 1\n")
    ran = run("doctor", "file", config=file)
    assert ran.code == 11
    assert "Did you mean 'release'?" in ran.out


def test_a_hook_whose_program_is_missing_is_told(run: Run, nginx: Balancer, tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    hooks = '\n[release.hooks]\nstart = ["no-such-program --now"]\n'
    file.write_text(nginx.toml.read_text() + hooks)
    ran = run("doctor", "releases", config=file)
    assert ran.code == 11
    assert "start runs no-such-program, which is not here" in ran.out
