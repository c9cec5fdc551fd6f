"""A load balancer that dies or hangs in the middle of a canary step, under visitors."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import Popen

import pytest

from tests.operator.release.stand import QUICK, Stand, ended

WATCHED = QUICK.replace("step_seconds = 0.3", "step_seconds = 400").replace(
    "ready_seconds = 20", "ready_seconds = 3"
)


def _kill_nginx(stand: Stand) -> None:
    stand.nginx.kill()


def _restart_nginx(stand: Stand) -> None:
    stand.nginx = stand.start_nginx()


def _kill_haproxy(stand: Stand) -> None:
    stand.haproxy.kill()


def _restart_haproxy(stand: Stand) -> None:
    stand.start_haproxy()


FAULTS: dict[tuple[str, str], tuple[Callable[[Stand], None], Callable[[Stand], None]]] = {
    ("nginx", "dies"): (_kill_nginx, _restart_nginx),
    ("nginx", "hangs"): (lambda stand: stand.nginx.pause(), lambda stand: stand.nginx.resume()),
    ("haproxy", "dies"): (_kill_haproxy, _restart_haproxy),
    ("haproxy", "hangs"): (
        lambda stand: stand.haproxy.pause(),
        lambda stand: stand.haproxy.resume(),
    ),
}


def _at_fifty(stand: Stand, balancer: str) -> Popen[str]:
    if balancer == "haproxy":
        assert stand.haproxy.alive
    stand.plan(WATCHED, balancer)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    return release


@pytest.mark.parametrize(("balancer", "fault"), FAULTS)
def test_a_step_that_cannot_be_given_leaves_the_share_and_is_taken_back_later(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, balancer: str, fault: str
) -> None:
    begin, end = FAULTS[balancer, fault]
    monkeypatch.setenv("MINA_OPS_PATIENCE", "1")
    release = _at_fifty(stand, balancer)
    begin(stand)
    try:
        stand.run("release", "promote")
        outcome = ended(release)
    finally:
        end(stand)
    monkeypatch.setenv("MINA_OPS_PATIENCE", "10")
    assert outcome.code == 7, outcome.err
    assert "Mend the load balancer, then `mina-ops rollback` again" in outcome.err
    # It serves what it served before, whatever it was asked while it could not answer.
    assert stand.share_of_green() == 50
    assert stand.run("release", "resume").code == 5
    assert stand.share_of_green() == 0


@pytest.mark.parametrize(("balancer", "fault"), FAULTS)
def test_a_fault_that_is_over_before_the_next_share_harms_nothing(
    stand: Stand, balancer: str, fault: str
) -> None:
    begin, end = FAULTS[balancer, fault]
    release = _at_fifty(stand, balancer)
    begin(stand)
    end(stand)
    assert stand.share_of_green() == 50
    stand.run("release", "promote")
    stand.until_given(100)
    stand.run("release", "promote")
    assert ended(release).code == 0
    assert stand.share_of_green() == 100
