"""`/admin/releases` over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mina_ops import MinaOps

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ONE = "/admin/releases/20261129-120000-v2"
REPORT = {
    "version": "v2",
    "from": "blue",
    "to": "green",
    "phase": "switch",
    "percent": 25,
    "ended": False,
    "who": "ana",
}


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    app = Flask(__name__)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    app.config.update(ENVIRONMENT="blue", MINA_OPS_ADMIN_TOKENS={"ci": digest})
    ops = MinaOps(app)
    yield app.test_client()
    ops.close()


def ask(client: FlaskClient, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.open(path, method=method, json=body, headers=BEARER)
    return answer.status_code, answer.get_json()


def test_what_a_controller_reports_is_there_for_everybody(client: FlaskClient) -> None:
    status, answer = ask(client, "PUT", ONE, REPORT)
    assert (status, answer["requests"]) == (200, [])
    status, found = ask(client, "GET", ONE)
    assert status == 200
    assert REPORT.items() <= found.items()
    assert found["age_seconds"] < 5
    assert [one["id"] for one in ask(client, "GET", "/admin/releases")[1]["releases"]] == [
        "20261129-120000-v2"
    ]


def test_the_newest_release_is_the_first(client: FlaskClient) -> None:
    for name in ("20261129-120000-v2", "20261129-130000-v3"):
        ask(client, "PUT", f"/admin/releases/{name}", REPORT)
    ask(client, "PUT", ONE, REPORT)
    found = ask(client, "GET", "/admin/releases")[1]["releases"]
    assert [one["id"] for one in found] == ["20261129-130000-v3", "20261129-120000-v2"]


def test_a_request_from_anywhere_reaches_the_controller_once_it_reports(
    client: FlaskClient,
) -> None:
    ask(client, "PUT", ONE, REPORT)
    assert ask(client, "PUT", ONE, {"request": {"kind": "abort", "why": "silence"}})[0] == 200
    requests = ask(client, "PUT", ONE, REPORT)[1]["requests"]
    assert [(one["kind"], one["why"], one["who"]) for one in requests] == [
        ("abort", "silence", "token:ci")
    ]
    assert requests[0]["id"]


def test_the_audit_log_knows_begin_switches_and_end(client: FlaskClient) -> None:
    for percent, phase in ((0, "checks"), (25, "switch"), (100, "switch"), (0, "rolled_back")):
        ask(client, "PUT", ONE, {**REPORT, "percent": percent, "phase": phase})
    entries = ask(client, "GET", "/admin/audit")[1]["entries"]
    actions = [entry["action"] for entry in reversed(entries)]
    assert actions == ["release.begin", "switch", "switch", "switch", "release.rolled_back"]
    assert entries[-2]["after"]["percent"] == {"green": 25, "blue": 75}


@pytest.mark.parametrize(
    "body",
    [
        {"version": "v2"},
        {**REPORT, "zap": 1},
        {**REPORT, "percent": "25"},
        {"request": {"kind": "explode"}},
        {"request": {"kind": "abort", "zap": "x"}},
    ],
)
def test_what_is_no_report_and_no_request_is_refused(client: FlaskClient, body: Any) -> None:
    ask(client, "PUT", ONE, REPORT)
    assert ask(client, "PUT", ONE, body)[0] == 400


def test_a_release_that_nobody_reported_is_not_there(client: FlaskClient) -> None:
    assert ask(client, "GET", "/admin/releases/none")[0] == 404
    assert ask(client, "PUT", "/admin/releases/none", {"request": {"kind": "abort"}})[0] == 404


def test_nobody_reads_or_writes_without_a_token(client: FlaskClient) -> None:
    assert client.get("/admin/releases").status_code == 401
    assert client.put(ONE, json=REPORT).status_code == 401
