"""Setting up: `install` proves that it serves, or fails with the words that lead on."""

from __future__ import annotations

import pytest

from mina_ops.operator.system import programs
from mina_ops.operator.system.programs import Result
from mina_ops.operator.traffic.nginx.dump import NginxDump
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns
from tests.support.command import MINA_OPS
from tests.support.wait import eventually


def traffic(balancer: Balancer, *words: str) -> Result:
    command = [MINA_OPS, "--config", str(balancer.toml), "traffic", *words]
    return programs.run(command, timeout_seconds=60)


def test_an_installed_balancer_is_proven(balancer: Balancer) -> None:
    assert traffic(balancer, "install").code == 0
    assert traffic(balancer, "install").stdout == "nothing to do\n"
    assert traffic(balancer, "check").stdout == "ready\n"


def test_a_balancer_that_does_not_run_is_no_success(balancer: Balancer) -> None:
    balancer.stop()
    done = traffic(balancer, "install")
    assert done.code == 7
    assert "tart it" in done.stdout
    balancer.start()
    # A controller of Gateways that has just begun follows a moment later.
    eventually(lambda: traffic(balancer, "install").code == 0, 15)


def test_a_forgotten_include_is_named_with_the_line_to_add(nginx: Balancer) -> None:
    main = nginx.folder / "nginx.conf"
    config = nginx.folder / "state/mina.conf"
    text = main.read_text()
    main.write_text(text.replace(f"include {config};", ""))
    assert text != main.read_text()
    programs.run([nginx.options().program, "-p", ".", "-c", str(main), "-s", "reload"])
    nginx.stop()
    for words in ("install", "check"):
        done = traffic(nginx, words)
        assert done.code == 7
        assert f"does not include {config}" in done.stdout
        assert f"add the line `include {config};` inside its `http {{ }}`" in done.stdout
    main.write_text(text)
    nginx.start()


def test_too_little_room_for_the_sessions_that_live_is_told(
    balancer: Balancer, apps: StandIns
) -> None:
    room = balancer.driver.sessions()
    assert room is not None
    apps.fleets["blue"].counts = [room]
    done = traffic(balancer, "check")
    assert done.code == 7
    assert f"can carry {room} websockets at once, {room} live now" in done.stdout


@pytest.mark.parametrize(
    ("text", "sessions"),
    [
        ("worker_processes 4;\nevents { worker_connections 1000; }", 2000),
        ("events { }", 256),
        ("worker_processes  1;\nevents {\n  worker_connections  20;\n}", 10),
    ],
)
def test_what_nginx_can_carry_is_read_from_its_configuration(text: str, sessions: int) -> None:
    assert NginxDump(text).sessions() == sessions
