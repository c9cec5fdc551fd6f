"""The playbook's smoke tests: pre-deployment checklist 4, and section 2.3 call by call."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import socketio

from mina_ops.operator.config.smoke import NONE, SmokeOptions
from tests.smoke.conftest import Api, Target
from tests.support.wait import eventually

SECONDS = 15.0


def add_segment(api: Api, session_id: object) -> None:
    answer = api.ask("segment", session_id, api.options.json("segment_body"))
    api.require(answer, "segmented")


def finalize(api: Api, session_id: object) -> None:
    api.require(api.ask("finalize", session_id), "finalized")


def test_transcription_pipeline(api: Api, session_id: object) -> None:
    add_segment(api, session_id)


def test_session_finalization(api: Api, session_id: object) -> None:
    if api.options.route("segment"):
        add_segment(api, session_id)
    finalize(api, session_id)


def test_ai_insights_generation(api: Api, session_id: object) -> None:
    if api.options.summary_field == NONE:
        pytest.skip("the app makes no summary")
    if api.options.route("segment"):
        add_segment(api, session_id)
    finalize(api, session_id)
    assert api.ask("show", session_id).json()[api.options.summary_field]


def test_websocket_reconnection(target: Target, options: SmokeOptions) -> None:
    """A client whose connection breaks comes back by itself and goes on with its stream."""
    if options.namespace == NONE:
        pytest.skip("the app has no Socket.IO")
    stream = f"smoke-{uuid.uuid4()}"
    with socketio.SimpleClient(request_timeout=SECONDS) as client:
        client.connect(
            target.base_url,
            auth={"token": target.token},
            namespace=options.namespace,
            transports=["websocket"],
            wait_timeout=SECONDS,
        )
        first_sid = client.sid
        if options.event != NONE:
            assert send(client, options.event, stream, 1)["fresh"] is True

        client.client.eio.ws.close()
        eventually(lambda: client.connected and client.sid not in (None, first_sid), SECONDS)

        if options.event != NONE:
            # The client cannot know whether the last chunk arrived, so it sends it again.
            assert send(client, options.event, stream, 1)["fresh"] is False
            assert send(client, options.event, stream, 2)["fresh"] is True


def send(client: socketio.SimpleClient, event: str, stream: str, seq: int) -> dict[str, Any]:
    chunk = {"stream": stream, "seq": seq, "data": b"audio"}
    return dict(client.call(event, chunk, timeout=SECONDS))
