"""The demo's play, with a live crowd, through Traefik's Gateway."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from mina_ops.demo.play import Play, Script
from mina_ops.demo.show import open_show
from mina_ops.demo.stage import standing
from tests.operator.balancers import gateway_in_front
from tests.operator.on_stage import OnStage
from tests.operator.stand_in import pod_of
from tests.support.needs import need
from tests.support.traefik import traefik

SHORT = Script(clients=12, requests_per_second=40, seconds_scale=0.1, second_act=False)
WHOLE = Script(second_act=False)


# What always runs of it: sessions, websockets and requests live through switches, in the contract.
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("script", [SHORT, WHOLE], ids=["short", "whole"])
def test_a_crowd_loses_nothing_over_canary_drain_rollback_and_forward_again(
    script: Script, tmp_path: Path
) -> None:
    """Canary to green, blue drained, back to blue, forward to green."""
    binary = need(traefik)
    said = io.StringIO()
    (tmp_path / "gateway").mkdir()
    with (
        open_show(said, live=False) as show,
        standing(tmp_path, show.step, also_at=pod_of) as stage,
        gateway_in_front(tmp_path / "gateway", OnStage(stage), binary, stand_ins=False) as gateway,
    ):
        through = replace(stage, settings=gateway.settings(), nginx=gateway.server)
        figures, problem = Play(through, script, show).perform()
    assert problem is None, said.getvalue()
    assert figures.switches == 6
    lost = figures.failed_requests, figures.chunks_lost, figures.chunks_duplicated
    assert lost == (0, 0, 0), said.getvalue()
    assert figures.requests >= script.least_requests
    assert figures.chunks_sent > 0
    print(figures)
