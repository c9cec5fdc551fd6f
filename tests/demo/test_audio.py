from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_socketio import SocketIOTestClient

from mina_ops.demo.audio import CHUNKS_PER_SEGMENT, LARGEST_CHUNK_BYTES, parse_chunk

CHUNK: dict[str, Any] = {"stream": "s", "seq": 1, "data": b"audio"}


def connect(app: Flask, auth: object = None, login: FlaskClient | None = None) -> Any:
    socketio = app.extensions["demo"].socketio
    return SocketIOTestClient(
        app, socketio, namespace="/live", auth=auth, flask_test_client=login or app.test_client()
    )


@pytest.fixture
def live(app: Flask) -> Any:
    """A client that is connected with the test token."""
    client = connect(app, {"token": "smoke-token"})
    assert client.is_connected("/live")
    return client


def send(client: Any, **changes: Any) -> Any:
    return client.emit("audio:chunk", {**CHUNK, **changes}, namespace="/live", callback=True)


def handled(app: Flask) -> dict[str, list[int]]:
    ledger: dict[str, list[int]] = app.extensions["demo"].ledger.handled()
    return ledger


def test_a_chunk_is_acknowledged_once_it_is_handled(app: Flask, live: Any) -> None:
    assert send(live) == {"seq": 1, "fresh": True, "environment": "production"}
    assert handled(app) == {"s": [1]}


def test_a_repeated_chunk_is_acknowledged_again_and_handled_once(app: Flask, live: Any) -> None:
    assert [send(live, seq=seq)["fresh"] for seq in (1, 2, 2, 1)] == [True, True, False, False]
    assert handled(app) == {"s": [1, 2]}


@pytest.mark.parametrize("auth", [None, {}, {"token": "wrong"}, {"token": None}, "smoke-token"])
def test_guests_may_not_stream(app: Flask, auth: object) -> None:
    assert not connect(app, auth).is_connected("/live")


def test_the_login_cookie_lets_in(app: Flask) -> None:
    browser = app.test_client()
    browser.post("/api/auth/login", data={"username": "mina", "password": "mina-password"})
    assert send(connect(app, login=browser))["fresh"] is True


@pytest.mark.parametrize(
    "broken",
    [
        {"stream": "white space"},
        {"stream": "x" * 65},
        {"stream": 7},
        {"seq": 0},
        {"seq": True},
        {"seq": "1"},
        {"data": "text"},
        {"data": b"x" * (LARGEST_CHUNK_BYTES + 1)},
        {"session_id": "1"},
    ],
)
def test_a_broken_chunk_is_refused_by_the_fields_name(
    app: Flask, live: Any, broken: dict[str, Any]
) -> None:
    field = next(iter(broken))
    assert send(live, **broken)["error"].startswith(f"{field}:")
    assert handled(app) == {}


def test_a_message_that_is_no_object_is_no_chunk() -> None:
    with pytest.raises(ValueError, match="object"):
        parse_chunk([1, 2])


def test_enough_chunks_become_a_segment_of_the_session(live: Any, bearer: FlaskClient) -> None:
    session_id = bearer.post("/api/sessions", json={}).json["session_id"]
    for seq in range(1, CHUNKS_PER_SEGMENT + 1):
        send(live, seq=seq, session_id=session_id)
    (event,) = live.get_received("/live")
    assert event["name"] == "transcript"
    assert (event["args"][0]["first_seq"], event["args"][0]["last_seq"]) == (1, 20)
    segments = bearer.get(f"/api/sessions/{session_id}").json["segments"]
    assert [segment["text"] for segment in segments] == ["[audio 1-20, 100 bytes]"]


def test_what_waits_in_the_buffer_is_kept_when_the_client_leaves(
    live: Any, bearer: FlaskClient
) -> None:
    session_id = bearer.post("/api/sessions", json={}).json["session_id"]
    for seq in (1, 2, 3):
        send(live, seq=seq, session_id=session_id)
    live.disconnect(namespace="/live")
    segments = bearer.get(f"/api/sessions/{session_id}").json["segments"]
    assert [segment["text"] for segment in segments] == ["[audio 1-3, 15 bytes]"]


def test_nobody_writes_into_the_session_of_somebody_else(app: Flask, live: Any) -> None:
    mina = app.test_client()
    mina.post("/api/auth/login", data={"username": "mina", "password": "mina-password"})
    session_id = mina.post("/api/sessions", json={}).json["session_id"]
    send(live, session_id=session_id)
    live.disconnect(namespace="/live")
    assert mina.get(f"/api/sessions/{session_id}").json["segments"] == []
