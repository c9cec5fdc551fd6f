"""A release and a drain as Prometheus sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from mina_ops import MinaOps
from mina_ops.app.releases import gauges
from tests.support.wait import eventually

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
REPORT = {"version": "v2", "from": "blue", "to": "green", "phase": "switch", "percent": 25}
NAMES = ("mina_draining", "mina_release_phase", "mina_release_share_ratio")


def _client(colour: str) -> tuple[MinaOps, FlaskClient]:
    app = Flask(__name__)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    app.config.update(
        ENVIRONMENT=colour,
        MINA_OPS_COLOURS=("blue", "green", "red"),
        MINA_OPS_BEAT=0.05,
        MINA_OPS_ADMIN_TOKENS={"ci": digest},
    )
    ops = MinaOps(app)
    return ops, app.test_client()


@pytest.fixture(autouse=True)
def _read_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "READ_SECONDS", 0.0)


@pytest.fixture(params=["blue", "green", "red"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(colour: str) -> Iterator[FlaskClient]:
    ops, client = _client(colour)
    yield client
    ops.close()


def shown(client: FlaskClient) -> dict[tuple[str, str, str], float]:
    with client.get("/metrics") as answer:
        families = text_string_to_metric_families(answer.text)
        return {
            (one.name, one.labels.get("release", ""), one.labels.get("phase", "")): one.value
            for family in families
            for one in family.samples
            if one.name in NAMES
        }


def report(client: FlaskClient, **values: object) -> None:
    body = {**REPORT, "ended": False, **values}
    answer = client.put("/admin/releases/20261129-120000-v2", json=body, headers=BEARER)
    assert answer.status_code == 200


def test_each_colour_shows_the_share_that_a_release_gave_it(
    client: FlaskClient, colour: str
) -> None:
    assert shown(client) == {("mina_draining", "", ""): 0.0}
    report(client)
    share = {"blue": 0.75, "green": 0.25}.get(colour)
    if share is None:
        # The release is none of its business.
        assert eventually(lambda: shown(client)) == {("mina_draining", "", ""): 0.0}
        return
    found = eventually(lambda: shown(client) if len(shown(client)) == 3 else None)
    assert found["mina_release_share_ratio", "v2", ""] == share
    assert found["mina_release_phase", "v2", "switch"] == 1.0
    report(client, phase="rolled_back", percent=0, ended=True)
    eventually(lambda: ("mina_release_phase", "v2", "rolled_back") in shown(client))
    assert ("mina_release_phase", "v2", "switch") not in shown(client)


@pytest.mark.parametrize("colour", ["blue"])
def test_a_drain_shows_from_its_order_to_its_end(client: FlaskClient) -> None:
    client.post("/admin/drain", json={"grace_seconds": 1}, headers=BEARER)
    eventually(lambda: shown(client)["mina_draining", "", ""] == 1.0)
    client.delete("/admin/drain", headers=BEARER)
    eventually(lambda: shown(client)["mina_draining", "", ""] == 0.0)
