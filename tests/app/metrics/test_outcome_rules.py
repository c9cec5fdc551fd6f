"""Outcomes that a host gets by a setting, and the playbook's section 4.3 of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from mina_ops import MinaOps
from mina_ops.app import settings
from mina_ops.app.metrics.outcome_rules import KEY, Told, parse
from mina_ops.errors import ConfigurationError
from tests.support.wait import eventually

FINALIZE = "POST /api/sessions/<int:id>/finalize"
BY_TEXT = (
    "transcription = POST /api/sessions/<id>/finalize; "
    "ai_insights = emit insights not insights_failed | event summarize"
)


@pytest.mark.parametrize(
    ("rule", "line", "told"),
    [
        (FINALIZE, "200 OK", ("t", True)),
        (FINALIZE, "302 FOUND", ("t", True)),
        (FINALIZE, "404 NOT FOUND", None),
        (FINALIZE, "500 X", ("t", False)),
        (f"{FINALIZE} 202", "200 OK", ("t", False)),
        (f"{FINALIZE} 200,202", "202 ACCEPTED", ("t", True)),
        (f"{FINALIZE} 200", "404 NOT FOUND", ("t", False)),
    ],
)
def test_an_answer_tells_by_its_status(rule: str, line: str, told: Told | None) -> None:
    rules = parse({"t": rule})
    # The names of what varies do not matter, nor do their kinds.
    assert rules.of_request("POST", "/api/sessions/<session>/finalize", line) == told
    assert rules.of_request("GET", "/api/sessions/<session>/finalize", line) is None
    assert rules.of_request("POST", None, line) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a b": FINALIZE}, "is no name"),
        ({"t": "finalize"}, "is no rule"),
        ({"t": ""}, "is no rule"),
        ({"t": "SHOUT /x"}, "no method"),
        ({"t": "POST /x 20"}, "is no rule"),
        ({"t": "POST /x/<a>", "u": "POST /x/<b>"}, "another rule"),
        ({"t": "emit a not a"}, "another rule"),
    ],
)
def test_a_rule_that_cannot_be_used_stops_the_start(given: Mapping[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        parse(given)
    assert KEY in str(refused.value)


def test_the_environment_holds_the_rules_as_text() -> None:
    found = settings.load({}, {KEY: BY_TEXT}).outcomes
    assert set(found) == {"transcription", "ai_insights"}
    assert parse(found).emitted["insights_failed"] == ("ai_insights", False)
    with pytest.raises(ConfigurationError, match=KEY):
        settings.load({}, {KEY: "transcription"})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Flask, SocketIO]]:
    """A host with the one line, three settings and no call of ours."""
    monkeypatch.setenv(KEY, BY_TEXT)
    monkeypatch.setenv(
        "MINA_OPS_ACTIVE_SESSIONS", "SELECT count(*) FROM sessions WHERE status = 'active'"
    )
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'host.db'}", MINA_OPS_BEAT=0.05
    )
    socketio, db = SocketIO(app, async_mode="threading"), SQLAlchemy(app)
    with app.app_context():
        db.session.execute(text("CREATE TABLE sessions (status TEXT)"))
        db.session.execute(text("INSERT INTO sessions VALUES ('active'), ('active'), ('done')"))
        db.session.commit()
    _serve(app, socketio)
    ops = MinaOps(app, socketio=socketio, db=db)
    yield app, socketio
    ops.close()
    with app.app_context():
        db.engine.dispose()


def _serve(app: Flask, socketio: SocketIO) -> None:
    @app.post("/api/sessions/<int:session_id>/finalize")
    def finalize(session_id: int) -> ResponseReturnValue:
        return "", (200 if session_id < 3 else 404 if session_id == 3 else 500)

    @socketio.on("summarize")
    def summarize(data: Any) -> None:
        if data == "bad":
            raise ValueError(data)

    @socketio.on_error_default
    def caught(error: Exception) -> None:
        socketio.emit("insights_failed", str(error))


def test_the_playbooks_business_metrics_come_of_settings_alone(
    host: tuple[Flask, SocketIO],
) -> None:
    app, socketio = host
    client = app.test_client()
    for session in (1, 2, 2, 3, 4):
        client.post(f"/api/sessions/{session}/finalize").close()  # as a server does
    socketio.emit("insights", {"text": "ship it"})
    socketio.emit("insights", {"text": "and sleep"})
    socketio.emit("insights_failed", {})

    def figure(path: str) -> Any:
        return client.get(f"/api/metrics/{path}").json

    done = eventually(
        lambda: (found := figure("transcriptions/completion_rate"))["samples"] == 4 and found
    )
    assert done["completion_rate"] == 75.0
    told = eventually(
        lambda: (found := figure("ai/insights_success_rate"))["samples"] == 3 and found
    )
    assert told["insights_success_rate"] == pytest.approx(66.67, abs=0.01)
    active = eventually(
        lambda: (found := figure("sessions/active"))["active_sessions"] is not None and found
    )
    assert active["active_sessions"] == 2


def test_a_handler_that_raises_is_a_failure_and_one_that_returns_a_success() -> None:
    app = Flask(__name__)
    app.config[KEY] = {"summary": "event summarize"}
    app.config["MINA_OPS_BEAT"] = 0.05
    socketio = SocketIO(app, async_mode="threading")
    ops = MinaOps(app, socketio=socketio)
    socketio.on_event("summarize", lambda data: {}[data])
    browser, figures = socketio.test_client(app), app.test_client()
    with pytest.raises(KeyError):
        browser.emit("summarize", "nothing")
    socketio.on_event("summarize", lambda data: None)
    browser.emit("summarize", "text")
    browser.emit("unheard", "text")
    found = eventually(
        lambda: (got := figures.get("/api/metrics/outcomes/summary").json)["samples"] == 2 and got
    )
    assert found["success_rate"] == 50.0
    ops.close()


def test_a_rule_of_a_route_that_is_not_there_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask(__name__)
    app.config[KEY] = {"transcription": "POST /nowhere"}
    ops = MinaOps(app)
    app.test_client().get("/api/health/live")
    eventually(lambda: "the app has no route /nowhere" in caplog.text)
    ops.close()
