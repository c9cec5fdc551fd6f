from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_socketio import SocketIO

from mina_ops import MinaOps
from mina_ops.errors import StateUnavailable
from tests.support.wait import eventually

TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture
def ops() -> Iterator[MinaOps]:
    app = Flask(__name__)
    app.config["ENVIRONMENT"] = "blue"
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"ops": hashlib.sha256(b"secret").hexdigest()}
    app.config["MINA_OPS_DRAIN_ON_SIGTERM"] = False
    made = MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
    app.extensions["test_ops"] = made
    yield made
    made.runtime.heartbeat.stop()


@pytest.fixture
def client(ops: MinaOps) -> FlaskClient:
    return ops.runtime.context.app.test_client()


def states(client: FlaskClient) -> tuple[str, int]:
    body = client.get("/admin/drain", headers=TOKEN).get_json()
    return body["state"], client.get("/socket.io/?EIO=4&transport=polling").status_code


def test_begin_watch_and_cancel(client: FlaskClient, ops: MinaOps) -> None:
    assert states(client) == ("serving", 200)
    # Until it is cancelled the drain has something left to wait for.
    ops.hold("work", "of a test")
    begun = client.post("/admin/drain", json={"grace_seconds": 60}, headers=TOKEN)
    assert begun.status_code == 202
    body = begun.get_json()
    assert (body["state"], body["environment"], body["grace_seconds"]) == ("draining", "blue", 60)
    assert body["initial"] == 1
    assert states(client)[1] == 503
    assert client.post("/admin/drain", json={}, headers=TOKEN).status_code == 200
    cancelled = client.delete("/admin/drain", headers=TOKEN)
    assert (cancelled.status_code, cancelled.get_json()["state"]) == (200, "serving")
    assert states(client) == ("serving", 200)


def test_a_refusal_says_its_reason_and_has_the_status_that_the_balancer_asks_for(
    client: FlaskClient,
) -> None:
    client.post("/admin/drain", headers=TOKEN)
    for asked, status in ((None, 503), ("504", 504), ("200", 503), ("5xx", 503)):
        headers = {} if asked is None else {"X-Mina-Drain-Status": asked}
        refused = client.get("/socket.io/?EIO=4&transport=polling", headers=headers)
        assert (refused.status_code, refused.headers["X-Mina-Refused"]) == (status, "draining")


def test_a_process_without_sessions_is_drained_at_once(client: FlaskClient) -> None:
    client.post("/admin/drain", headers=TOKEN)
    eventually(lambda: states(client) == ("drained", 503), 5)


def test_curls_default_content_type_is_read_as_json(client: FlaskClient) -> None:
    begun = client.post(
        "/admin/drain",
        data='{"grace_seconds": 5}',
        content_type="application/x-www-form-urlencoded",
        headers=TOKEN,
    )
    assert begun.get_json()["grace_seconds"] == 5


@pytest.mark.parametrize("method", ["post", "get", "delete"])
def test_only_admins_may(method: str, client: FlaskClient) -> None:
    answer = getattr(client, method)("/admin/drain")
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"grace_seconds": -1}, "grace_seconds"),
        ({"grace_seconds": 86_401}, "grace_seconds"),
        ({"grace_seconds": "30"}, "grace_seconds"),
        ({"grace_seconds": True}, "grace_seconds"),
        ({"force": "yes"}, "force"),
        ({"grace": 30}, "grace"),
    ],
)
def test_a_wrong_order_changes_nothing_and_names_the_field(
    body: dict[str, Any], field: str, client: FlaskClient
) -> None:
    answer = client.post("/admin/drain", json=body, headers=TOKEN)
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)
    assert states(client)[0] == "serving"


@pytest.mark.parametrize("grace", ["NaN", "Infinity"])
def test_a_grace_that_is_no_number_is_refused(grace: str, client: FlaskClient) -> None:
    answer = client.post("/admin/drain", data=f'{{"grace_seconds": {grace}}}', headers=TOKEN)
    assert answer.status_code == 400


def test_without_the_store_an_order_is_503_and_the_state_stays(
    client: FlaskClient, ops: MinaOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StateUnavailable("away")

    monkeypatch.setattr(ops.runtime.store, "get", away)
    answer = client.post("/admin/drain", json={}, headers=TOKEN)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert states(client)[0] == "serving"


def test_who_ordered_and_who_cancelled_is_in_the_audit_log(
    client: FlaskClient, ops: MinaOps
) -> None:
    client.post("/admin/drain", json={"grace_seconds": 60}, headers=TOKEN)
    client.post("/admin/drain", json={"grace_seconds": 6}, headers=TOKEN)
    client.delete("/admin/drain", headers=TOKEN)
    found = ops.runtime.store.records("mina:audit", count=10)
    kept = [(fields["actor"], fields["action"]) for _, fields in reversed(found)]
    assert kept == [
        ("token:ops", "drain.begin"),
        ("token:ops", "drain.tighten"),
        ("token:ops", "drain.cancel"),
    ]


def test_a_refused_handshake_says_when_to_retry_and_lets_other_origins_read_it(
    client: FlaskClient,
) -> None:
    client.post("/admin/drain", headers=TOKEN)
    origin = {"Origin": "http://localhost"}
    refused = client.get("/socket.io/?EIO=4&transport=polling", headers=origin)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.headers["Access-Control-Allow-Origin"] == "http://localhost"
    assert refused.headers["X-Mina-Environment"] == "blue"
    preflight = client.options("/socket.io/?EIO=4&transport=polling", headers=origin)
    assert preflight.status_code == 200
    unknown = client.get("/socket.io/?EIO=4&transport=polling&sid=blue.0~gone")
    assert unknown.status_code == 400
