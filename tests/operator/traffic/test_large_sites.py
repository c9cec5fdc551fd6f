"""A site of two hundred instances a colour, and of long lists, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import sid_of, tag_of
from tests.operator.fronts import in_front
from tests.operator.stand_in import StandIns, stand_ins

INSTANCES = 200
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
# Longer than what a line of HAProxy holds: 64 words.
NETWORKS = ", ".join(f'"10.0.{number}.0/24"' for number in range(100))
PREFIXES = ", ".join(f'"/files{number}/"' for number in range(100))
LISTS = f"""
trusted_proxies = ["127.0.0.1/32", {NETWORKS}]
inside_networks = [{NETWORKS}]
closed_paths = ["/metrics"]
asset_prefixes = [{PREFIXES}]
"""


@pytest.fixture(scope="module")
def apps() -> Iterator[StandIns]:
    with stand_ins(INSTANCES) as running:
        yield running


@pytest.mark.parametrize(
    "engine", ["nginx", "haproxy", pytest.param("envoy", marks=pytest.mark.long)]
)
def test_it_is_installed_and_switched(tmp_path: Path, apps: StandIns, engine: str) -> None:
    with in_front(engine, tmp_path, apps, LISTS) as balancer:
        assert balancer.driver.check() == []
        balancer.driver.apply(Split({"blue": 0, "green": 100}))
        assert balancer.get("/").colour == "green"
        sid = sid_of(balancer.get(HANDSHAKE))
        assert tag_of(sid).startswith("green.")
        balancer.driver.apply(Split({"blue": 100, "green": 0}))
        answer = balancer.get(f"{HANDSHAKE}&sid={sid}")
        assert f"{answer.headers['x-mina-environment']}.{answer.body['by']}" == tag_of(sid)
        assert balancer.get("/files99/a.js").colour == "blue"
        assert balancer.get("/metrics").status == 404
