"""`mina-ops doctor` on a site behind Envoy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from tests.operator.balancers import Balancer, envoy_in_front
from tests.operator.stand_in import TOKEN, StandIns, stand_ins
from tests.support.envoy import envoy as envoy_program
from tests.support.needs import need
from tests.support.wait import eventually


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StandIns, Balancer]]:
    folder, program = tmp_path_factory.mktemp("envoy"), need(envoy_program)
    with stand_ins() as apps, envoy_in_front(folder, apps, program) as running:
        yield apps, running


@pytest.fixture
def envoy(site: tuple[StandIns, Balancer]) -> Balancer:
    return site[1]


def doctor(envoy: Balancer, toml: Path | None = None) -> tuple[int, str]:
    environment = {"MINA_OPS_TOKEN": TOKEN, "MINA_OPS_CONFIG": str(toml or envoy.toml)}
    ran = CliRunner().invoke(main, ["doctor", "balancer"], env=environment)
    return ran.exit_code, ran.stdout


def test_a_site_that_is_well_is_said_to_be(envoy: Balancer) -> None:
    code, out = doctor(envoy)
    assert code == 0, out
    assert "envoy: blue 100 %, green 0 %" in out
    assert "is answered by blue" in out
    # Paths for operators that strangers reach.
    assert "can be reached from here" in out


def test_an_admin_socket_that_others_reach_is_a_fault(envoy: Balancer) -> None:
    admin = envoy.folder / "state/admin.sock"
    admin.chmod(0o666)
    try:
        code, out = doctor(envoy)
    finally:
        admin.chmod(0o600)
    assert code == 11
    assert f"chmod 600 {admin}" in out


def test_a_port_that_somebody_else_has_is_named(envoy: Balancer) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        text = envoy.toml.read_text()
        envoy.toml.write_text(text.replace(f"127.0.0.1:{envoy.port}", f"127.0.0.1:{port}"))
        try:
            ran = CliRunner().invoke(
                main, ["traffic", "install"], env={"MINA_OPS_CONFIG": str(envoy.toml)}
            )
            assert ran.exit_code == 7, ran.output
            # Envoy's own words, and no wait for what cannot come true.
            assert f"127.0.0.1:{port}" in ran.stderr
            assert "already in use" in ran.stderr
        finally:
            envoy.toml.write_text(text)
    # The earlier configuration is back.
    eventually(lambda: doctor(envoy)[0] == 0)


def test_an_envoy_that_is_away_or_leads_elsewhere_is_told(
    envoy: Balancer, site: tuple[StandIns, Balancer], tmp_path: Path
) -> None:
    apps = site[0]
    for fleet in apps.fleets.values():
        fleet.colour = "green" if fleet.colour == "blue" else "blue"
    try:
        code, out = doctor(envoy)
        assert code == 11
        assert "is answered by green, which has 0 %" in out
    finally:
        for fleet in apps.fleets.values():
            fleet.colour = "green" if fleet.colour == "blue" else "blue"
    envoy.stop()
    try:
        code, out = doctor(envoy)
    finally:
        envoy.start()
    assert code == 11
    assert "Envoy does not answer at its admin socket" in out
    assert f"envoy -c {envoy.folder / 'state/envoy.json'}" in out
