from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import socketio

from mina_ops.demo.audio import CHUNKS_PER_SEGMENT
from mina_ops.demo.stage import Keys, app_environment, prepare_database, start_standin
from tests.support.hosts import Hosts

APP = "mina_ops.demo.app:create_app()"
SECONDS = 30


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[tuple[dict[str, str], Keys]]:
    """The variables of an app with its database and its language model, and their secrets."""
    keys = Keys()
    with ExitStack() as running:
        standin = running.enter_context(start_standin(tmp_path))
        environment = app_environment(tmp_path, keys, standin, redis=None)
        prepare_database(tmp_path, environment, keys)
        yield environment, keys


@pytest.mark.parametrize("worker", ["gthread", "gevent", "eventlet"])
def test_it_serves_and_streams_under_every_worker(
    start_host: Hosts, stand: tuple[dict[str, str], Keys], worker: str
) -> None:
    environment, keys = stand
    if worker == "gevent" and find_spec("geventwebsocket"):
        # Where it is installed, Engine.IO takes websockets from its worker alone.
        worker = "gevent-websocket"
    app = start_host(APP, worker=worker, environment=environment)
    token = {"Authorization": f"Bearer {keys.test_token}"}
    with httpx.Client(base_url=app.url, headers=token, timeout=SECONDS) as api:
        session_id = api.post("/api/sessions", json={}).json()["session_id"]
        for transport in ("websocket", "polling"):
            stream(app.url, keys.test_token, transport, session_id)
        finalized = api.post(f"/api/sessions/{session_id}/finalize").json()
        assert finalized == {"status": "finalized", "summary_generated": True}


def stream(url: str, token: str, transport: str, session_id: int) -> None:
    """Send enough chunks for a segment, each acknowledged as new."""
    with socketio.SimpleClient(request_timeout=SECONDS) as client:
        client.connect(
            url,
            auth={"token": token},
            namespace="/live",
            transports=[transport],
            wait_timeout=SECONDS,
        )
        for seq in range(1, CHUNKS_PER_SEGMENT + 1):
            chunk = {"stream": transport, "seq": seq, "data": b"audio", "session_id": session_id}
            ack = client.call("audio:chunk", chunk, timeout=SECONDS)
            assert (ack["seq"], ack["fresh"]) == (seq, True)
        assert client.receive(timeout=SECONDS)[0] == "transcript"
