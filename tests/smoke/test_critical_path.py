"""The playbook's smoke tests: pre-deployment checklist 4, and section 2.3 call by call."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import socketio

from tests.smoke.conftest import Target
from tests.support.wait import eventually

SECONDS = 15.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def add_segment(api: httpx.Client, session_id: int, text: str) -> dict[str, Any]:
    body = f'{{"text": "{text}", "speaker": "Speaker 1"}}'
    answer = api.post(f"/api/sessions/{session_id}/segments", content=body, headers=FORM)
    assert answer.is_success, answer.text
    return dict(answer.json())


def test_transcription_pipeline(api: httpx.Client, session_id: int) -> None:
    created = add_segment(api, session_id, "Test transcription")
    assert created["status"] == "created"
    assert isinstance(created["segment_id"], int)


def test_session_finalization(api: httpx.Client, session_id: int) -> None:
    add_segment(api, session_id, "We ship on Friday")
    answer = api.post(f"/api/sessions/{session_id}/finalize")
    assert answer.json() == {"status": "finalized", "summary_generated": True}


def test_ai_insights_generation(api: httpx.Client, session_id: int) -> None:
    add_segment(api, session_id, "Ada writes the release notes")
    api.post(f"/api/sessions/{session_id}/finalize").raise_for_status()
    assert api.get(f"/api/sessions/{session_id}").json()["summary"]


def test_websocket_reconnection(target: Target) -> None:
    """A client whose connection breaks comes back by itself and goes on with its stream."""
    stream = f"smoke-{uuid.uuid4()}"
    with socketio.SimpleClient(
        request_timeout=SECONDS, reconnection_delay=0.1, reconnection_delay_max=1
    ) as client:
        client.connect(
            target.base_url,
            auth={"token": target.token},
            namespace="/live",
            transports=["websocket"],
            wait_timeout=SECONDS,
        )
        first_sid = client.sid
        assert send(client, stream, 1)["fresh"] is True

        client.client.eio.ws.close()
        eventually(lambda: client.connected and client.sid not in (None, first_sid), SECONDS)

        # The client cannot know whether the last chunk arrived, so it sends it again.
        assert send(client, stream, 1)["fresh"] is False
        assert send(client, stream, 2)["fresh"] is True


def send(client: socketio.SimpleClient, stream: str, seq: int) -> dict[str, Any]:
    chunk = {"stream": stream, "seq": seq, "data": b"audio"}
    return dict(client.call("audio:chunk", chunk, timeout=SECONDS))
