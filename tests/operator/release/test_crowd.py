"""A whole release before a live crowd, by engine: no failed request, no lost chunk."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.crowd import Crowd
from mina_ops.demo.ledger import RedisLedger, tally
from mina_ops.demo.stage import VERSIONS, Stage, standing
from mina_ops.operator.system import programs
from tests.operator.balancers import Balancer
from tests.operator.fronts import in_front
from tests.operator.on_stage import OnStage
from tests.operator.stand_in import pod_of
from tests.support.command import MINA_OPS
from tests.support.wait import eventually

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Size:
    """How large the crowd is, and how long each part of the release."""

    clients: int
    requests_per_second: float
    chunk_interval_ms: int
    seconds: float

    def plan(self, *, shadow: bool) -> str:
        """`[release]`; the verdicts of a machine that is this busy are not on trial."""
        return (
            f"[release]\nsteps = [25, 100]\nstep_seconds = {self.seconds}\n"
            f"shadow_seconds = {self.seconds if shadow else 0}\n"
            f"watch_seconds = {self.seconds}\nlook_seconds = 0.5\nhealth_looks = 1\n"
            f"patience_seconds = {self.seconds}\n"
            f"drain_grace_seconds = {self.seconds}\nno_data = 'continue'\n"
            "[release.triggers]\ndatabase_ms = 5000\np95_increase_ms = 60000\n"
        )


SMALL = Size(clients=12, requests_per_second=40, chunk_interval_ms=500, seconds=1)
# As many as the demo's own crowd behind nginx.
WHOLE = Size(clients=220, requests_per_second=120, chunk_interval_ms=2000, seconds=10)


# What always runs of it: whole releases through nginx and Envoy (test_shadow.py), the demo's crowd
# through nginx (tests/demo/test_play.py), and sessions that live through switches (the contract).
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [SMALL, WHOLE], ids=["small", "whole"])
@pytest.mark.parametrize("engine", ["envoy", "gateway"])
def test_a_whole_release_fails_no_request_and_loses_no_chunk(
    tmp_path: Path, engine: str, size: Size
) -> None:
    mirrors = engine == "envoy"
    plan = f"\n{size.plan(shadow=mirrors)}"
    with (
        standing(tmp_path / "stage", lambda _: None, also_at=pod_of) as stage,
        ExitStack() as running,
    ):
        front = running.enter_context(in_front(engine, tmp_path, OnStage(stage), plan))
        crowd = gathered(running, stage, front, size)
        argv = [str(MINA_OPS), "--config", str(front.toml), "release", "start", VERSIONS["green"]]
        done = programs.run([*argv, "--json"], timeout_seconds=500)
        assert done.code == 0, done.stderr
        crowd.look()
        assert crowd.count("clients", "reconnected") >= size.clients
        crowd.dismiss()
        chunks = tally(crowd.sent(), RedisLedger(stage.redis.url).handled())
        requests = crowd.count("load", "requests")
        print(json.dumps({"engine": engine, "requests": requests, "chunks": chunks.sent}))
        assert (crowd.count("load", "failed"), crowd.failures()) == (0, {})
        assert requests >= size.requests_per_second * size.seconds * (4 if mirrors else 3)
        assert (chunks.lost, chunks.duplicated) == (0, 0)
        assert chunks.sent > size.clients
        assert front.driver.read().split.percent == {"blue": 0, "green": 100}
    if engine == "gateway":
        # No Socket.IO request either, which clients would try again.
        assert '"DownstreamStatus":502' not in (tmp_path / "access.json").read_text()


def gathered(running: ExitStack, stage: Stage, front: Balancer, size: Size) -> Crowd:
    """Requests and streaming clients, all on blue, half of them by websocket."""
    url, token = f"http://127.0.0.1:{front.port}", stage.keys.test_token
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        answer = client.post(f"{url}/api/sessions", json={"title": "The crowd's session"})
    clients = {
        "url": url,
        "token": token,
        "session_id": int(answer.json()["session_id"]),
        "clients": size.clients,
        "chunk_interval_ms": size.chunk_interval_ms,
    }
    crowd = Crowd()
    crowd.gather(running, stage.folder / "crowd", clients, size.requests_per_second)

    def is_there() -> bool:
        crowd.look()
        return crowd.count("clients", "connected") >= size.clients

    eventually(is_there, 60, "the clients did not all connect")
    return crowd
