from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mina_ops.demo.api import REPLAY_FLAG, count_active
from mina_ops.demo.openai_standin import OpenAIStandIn

# What `curl -d` says of any body.
CURL = {"content_type": "application/x-www-form-urlencoded"}


def create(client: FlaskClient, title: str = "Weekly") -> int:
    answer = client.post("/api/sessions", json={"title": title})
    assert answer.status_code == 201
    session_id: int = answer.json["session_id"]
    return session_id


def test_the_playbooks_critical_path_as_curl_sends_it(bearer: FlaskClient) -> None:
    created = bearer.post("/api/sessions", data='{"title": "Smoke Test Session"}', **CURL)
    session_id = created.json["session_id"]
    assert created.json == {"session_id": session_id, "status": "active"}

    path = f"/api/sessions/{session_id}"
    body = '{"text": "Test transcription", "speaker": "Speaker 1"}'
    segment = bearer.post(f"{path}/segments", data=body, **CURL)
    assert segment.json == {"segment_id": segment.json["segment_id"], "status": "created"}

    finalized = bearer.post(f"{path}/finalize")
    assert finalized.json == {"status": "finalized", "summary_generated": True}

    assert bearer.delete(path).status_code == 200
    assert bearer.get(path).status_code == 404


def test_a_title_sent_by_curl_is_kept(bearer: FlaskClient) -> None:
    bearer.post("/api/sessions", data='{"title": "Standup"}', **CURL)
    assert [s["title"] for s in bearer.get("/api/sessions").json["sessions"]] == ["Standup"]


@pytest.mark.parametrize("path", ["/api/sessions", "/api/sessions/1"])
def test_guests_are_refused(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 401


def test_a_session_of_somebody_else_is_not_found(app: Flask, bearer: FlaskClient) -> None:
    session_id = create(bearer)
    mina = app.test_client()
    mina.post("/api/auth/login", data={"username": "mina", "password": "mina-password"})
    assert mina.get(f"/api/sessions/{session_id}").status_code == 404
    assert mina.delete(f"/api/sessions/{session_id}").status_code == 404
    assert bearer.get(f"/api/sessions/{session_id}").status_code == 200


def test_a_repeat_with_the_same_key_creates_nothing_new(bearer: FlaskClient) -> None:
    key = {"Idempotency-Key": "try-1"}
    first, again = (bearer.post("/api/sessions", json={}, headers=key) for _ in range(2))
    assert again.json == first.json
    assert len(bearer.get("/api/sessions").json["sessions"]) == 1

    path = f"/api/sessions/{first.json['session_id']}/segments"
    segments = [bearer.post(path, json={"text": "hi"}, headers=key) for _ in range(2)]
    assert segments[0].json == segments[1].json


def test_finalizing_twice_asks_the_model_once(bearer: FlaskClient, standin: OpenAIStandIn) -> None:
    path = f"/api/sessions/{create(bearer)}/finalize"
    bodies = [bearer.post(path).json for _ in range(2)]
    assert bodies == [{"status": "finalized", "summary_generated": True}] * 2
    assert standin.completions == 1


def test_a_failing_model_leaves_the_session_final_without_a_summary(
    bearer: FlaskClient, standin: OpenAIStandIn
) -> None:
    session_id = create(bearer)
    path = f"/api/sessions/{session_id}/finalize"
    standin.behave("401")
    assert bearer.post(path).json == {"status": "finalized", "summary_generated": False}

    standin.behave("ok")
    assert bearer.post(path).json == {"status": "finalized", "summary_generated": True}
    assert "words were said" in bearer.get(f"/api/sessions/{session_id}").json["summary"]


def test_a_final_session_takes_no_more_segments(bearer: FlaskClient) -> None:
    session_id = create(bearer)
    bearer.post(f"/api/sessions/{session_id}/finalize")
    answer = bearer.post(f"/api/sessions/{session_id}/segments", json={"text": "too late"})
    assert answer.status_code == 409


@pytest.mark.parametrize("body", ["[1]", "{", '{"title": 3}', '{"title": "' + "x" * 201 + '"}'])
def test_a_body_that_is_no_session_is_400(bearer: FlaskClient, body: str) -> None:
    answer = bearer.post("/api/sessions", data=body, **CURL)
    assert answer.status_code == 400
    assert bearer.get("/api/sessions").json == {"sessions": []}


def test_active_sessions_are_counted(app: Flask, bearer: FlaskClient) -> None:
    session_ids = [create(bearer) for _ in range(3)]
    bearer.post(f"/api/sessions/{session_ids[0]}/finalize")
    with app.app_context():
        assert count_active() == 2


def test_replay_is_hidden_until_its_flag_is_on(app: Flask, bearer: FlaskClient) -> None:
    path = f"/api/sessions/{create(bearer)}/replay"
    assert bearer.get(path).status_code == 404
    with app.extensions["demo"].ops.flags.override(**{REPLAY_FLAG: True}):
        assert bearer.get(path).json["format"] == "opus"


def test_the_error_knob_fails_exactly_its_share(make_app: Callable[..., Flask]) -> None:
    app = make_app(DEMO_ERROR_PERCENT=6.0)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer smoke-token"
    statuses = [client.get("/api/sessions").status_code for _ in range(100)]
    assert statuses.count(500) == 6
    assert statuses.count(200) == 94
    assert client.get("/live").status_code == 200
