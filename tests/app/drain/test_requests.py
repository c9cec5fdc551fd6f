"""A colour is not drained while a request of the host that is not short is in flight."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_socketio import SocketIO

from mina_ops import MinaOps
from tests.support.wait import eventually

TOKEN = {"Authorization": "Bearer the-token-of-the-tests"}


class Host:
    """An app with a page that answers when the test says so."""

    def __init__(self) -> None:
        self.entered, self.answer = threading.Event(), threading.Event()
        self.app = Flask(__name__)
        digest = hashlib.sha256(b"the-token-of-the-tests").hexdigest()
        self.app.config.update(ENVIRONMENT="blue", MINA_OPS_ADMIN_TOKENS={"ci": digest})
        self.app.config["MINA_OPS_DRAIN_ON_SIGTERM"] = False
        self.app.add_url_rule("/upload", view_func=self._upload, methods=["POST"])
        self.app.add_url_rule("/", "page", lambda: "page")
        socketio = SocketIO(self.app, async_mode="threading")
        self.ops = MinaOps(self.app, socketio=socketio)
        self._threads: list[threading.Thread] = []

    def _upload(self) -> str:
        self.entered.set()
        self.answer.wait(60)
        return "stored"

    def upload(self) -> None:
        thread = threading.Thread(target=lambda: self.client().post("/upload").close())
        thread.start()
        self._threads.append(thread)
        assert self.entered.wait(30)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def close(self) -> None:
        self.answer.set()
        for thread in self._threads:
            thread.join()
        self.app.extensions["mina_ops"].context.heartbeat.stop()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


def drain(client: FlaskClient, grace_seconds: float) -> None:
    order = {"grace_seconds": grace_seconds}
    assert client.post("/admin/drain", json=order, headers=TOKEN).status_code == 202


def status(client: FlaskClient) -> tuple[str, int]:
    body = client.get("/admin/drain", headers=TOKEN).get_json()
    return body["state"], body["requests"]


def test_an_upload_that_began_before_the_order_is_waited_for(host: Host) -> None:
    client = host.client()
    host.upload()
    drain(client, 60)
    for _ in range(5):
        with client.get("/") as page:
            assert page.status_code == 200
        assert status(client) == ("draining", 1)
    host.answer.set()
    eventually(lambda: status(client) == ("drained", 0))


def test_one_that_came_later_is_waited_for_unless_it_is_short(host: Host) -> None:
    client = host.client()
    hold = host.ops.hold("work", "of the test")
    drain(client, 60)
    host.upload()
    hold.release()
    eventually(lambda: status(client) == ("draining", 1))
    host.answer.set()
    eventually(lambda: status(client) == ("drained", 0))


def test_none_is_waited_for_beyond_the_deadline_and_all_are_told(host: Host) -> None:
    client = host.client()
    host.upload()
    drain(client, 0.5)
    eventually(lambda: status(client) == ("drained", 1))
