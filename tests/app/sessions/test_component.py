from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_socketio import SocketIO, emit

from mina_ops import MinaOps
from mina_ops.app.metrics.component import Metrics
from tests.support.wait import eventually

POLL = "?EIO=4&transport=polling"


@pytest.fixture
def running() -> Iterator[list[MinaOps]]:
    made: list[MinaOps] = []
    yield made
    for ops in made:
        ops.runtime.heartbeat.stop()


def new_app(**config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(ENVIRONMENT="blue", MINA_OPS_DRAIN_ON_SIGTERM=False, **config)
    return app


def shake_hands(app: Flask, path: str = "/socket.io/") -> str:
    answer = app.test_client().get(path + POLL)
    assert answer.status_code == 200, answer.text
    return answer.text


def active(app: Flask) -> int:
    return int(app.test_client().get("/api/metrics/connections").get_json()["active_connections"])


def test_a_session_id_begins_with_colour_and_instance(running: list[MinaOps]) -> None:
    app = new_app(MINA_OPS_INSTANCE="7")
    running.append(MinaOps(app, socketio=SocketIO(app, async_mode="threading")))
    assert '"sid":"blue.7~' in shake_hands(app)


def test_socketio_may_be_bound_after_mina_ops(running: list[MinaOps]) -> None:
    app, socketio = new_app(), SocketIO(async_mode="threading")
    running.append(MinaOps(app, socketio=socketio))
    assert active(app) == 0
    socketio.init_app(app)
    assert '"sid":"blue.0~' in shake_hands(app)
    assert active(app) == 1


def test_one_socketio_bound_to_two_apps_in_turn_counts_each_for_itself(
    running: list[MinaOps],
) -> None:
    socketio = SocketIO(async_mode="threading")
    first, second = new_app(), new_app(MINA_OPS_INSTANCE="1")
    for app in (first, second):
        socketio.init_app(app)
        ops = MinaOps()
        ops.init_app(app, socketio=socketio)
        running.append(ops)
    assert '"sid":"blue.0~' in shake_hands(first)
    assert '"sid":"blue.1~' in shake_hands(second)
    shake_hands(second)
    assert (active(first), active(second)) == (1, 2)


def test_a_socketio_of_another_path_is_found(running: list[MinaOps]) -> None:
    app = new_app()
    running.append(MinaOps(app, socketio=SocketIO(app, async_mode="threading", path="/rt")))
    assert running[0].runtime.socketio.path == "/rt/"
    assert '"sid":"blue.0~' in shake_hands(app, "/rt/")


def test_an_app_without_socketio_has_no_connections(running: list[MinaOps]) -> None:
    app = new_app()
    running.append(MinaOps(app))
    assert active(app) == 0


def test_the_figures_say_where_and_of_whom_they_are(running: list[MinaOps]) -> None:
    app = new_app()
    running.append(MinaOps(app, socketio=SocketIO(app, async_mode="threading")))
    shake_hands(app)
    figures = app.test_client().get("/api/metrics/connections").get_json()
    assert figures["by_transport"] == {"polling": 1}
    assert figures["drain"] == "serving"
    assert (figures["environment"], figures["reporters"], figures["stale"]) == ("blue", 1, False)
    green = app.test_client().get("/api/metrics/connections?environment=green").get_json()
    assert (green["environment"], green["active_connections"]) == ("green", 0)


@pytest.mark.parametrize(
    ("query", "field"), [("environment=red", "environment"), ("colour=blue", "colour")]
)
def test_an_unknown_colour_or_parameter_is_named(
    query: str, field: str, running: list[MinaOps]
) -> None:
    app = new_app()
    running.append(MinaOps(app))
    answer = app.test_client().get(f"/api/metrics/connections?{query}")
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)


def test_a_ping_event_is_answered_by_a_pong(running: list[MinaOps]) -> None:
    app = new_app()
    socketio = SocketIO(app, async_mode="threading")
    running.append(MinaOps(app, socketio=socketio))
    socketio.on("connect")(lambda: None)
    client = socketio.test_client(app)
    client.emit("ping")
    (pong,) = client.get_received()
    assert (pong["name"], pong["args"][0]["type"]) == ("pong", "pong")
    assert pong["args"][0]["timestamp"] > 1_600_000_000_000


def test_a_host_that_answers_pings_itself_goes_on_to_do_so(running: list[MinaOps]) -> None:
    app = new_app()
    socketio = SocketIO(app, async_mode="threading")
    running.append(MinaOps(app, socketio=socketio))
    socketio.on("ping")(lambda: emit("own pong"))
    client = socketio.test_client(app)
    client.emit("ping")
    assert [event["name"] for event in client.get_received()] == ["own pong"]


def test_handshakes_are_counted_by_what_became_of_them(
    running: list[MinaOps], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = new_app(MINA_OPS_MAX_CONNECTIONS=2)
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr(Metrics, "handshake", lambda _, *told: noted.append(told))
    socketio = SocketIO(app, async_mode="threading")
    running.append(MinaOps(app, socketio=socketio))
    socketio.on("connect")(lambda auth=None: not (auth or {}).get("bad"))
    client = app.test_client()
    for packet in ("40", '40{"bad":true}'):
        sid = shake_hands(app).split('"sid":"')[1].split('"')[0]
        client.post(f"/socket.io/{POLL}&sid={sid}", data=packet)
    assert client.get(f"/socket.io/{POLL}").status_code == 503
    assert client.get("/socket.io/?EIO=3&transport=polling").status_code == 503
    expected = ["accepted", "refused", "full", "full"]
    assert noted == [(result, "127.0.0.1") for result in expected]


def test_the_client_script_is_served_and_revalidated(running: list[MinaOps]) -> None:
    app = new_app()
    running.append(MinaOps(app))
    client = app.test_client()
    answer = client.get("/mina-ops/mina-stream.js")
    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert "class MinaStream" in answer.text
    tag = {"If-None-Match": answer.headers["ETag"]}
    again = client.get("/mina-ops/mina-stream.js", headers=tag)
    assert (again.status_code, again.data) == (304, b"")


def test_an_unready_process_turns_only_handshakes_away_that_others_can_take(
    running: list[MinaOps],
) -> None:
    app = new_app()
    ops = MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
    running.append(ops)
    ops.health_check("gpu")(lambda: False)
    client = app.test_client()
    only_if_ready = {"X-Mina-Only-If-Ready": "1"}

    def refused() -> Any:
        # A process that still starts is unready too, for that reason.
        answer = client.get(f"/socket.io/{POLL}", headers=only_if_ready)
        return answer if (answer.get_json(silent=True) or {}).get("reasons") == ["gpu"] else None

    answer = eventually(refused)
    assert (answer.status_code, answer.headers["X-Mina-Refused"]) == (503, "unready")
    assert client.get(f"/socket.io/{POLL}").status_code == 200


def test_a_process_whose_first_checks_are_done_is_ready_for_handshakes_at_once(
    running: list[MinaOps],
) -> None:
    # The next beat, which looks at the checks too, comes only seconds later.
    app = new_app(MINA_OPS_BEAT=5)
    ops = MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
    running.append(ops)
    may_end = threading.Event()
    ops.health_check("slow")(lambda: {"ended": may_end.wait(30)})
    client, registry = app.test_client(), ops.runtime.health.registry
    client.get("/api/health/live")
    eventually(lambda: registry.monitors["websockets"].reading.state != "unknown")
    may_end.set()
    eventually(lambda: all(m.reading.state != "unknown" for m in registry.monitors.values()))
    answer = client.get(f"/socket.io/{POLL}", headers={"X-Mina-Only-If-Ready": "1"})
    assert answer.status_code == 200
