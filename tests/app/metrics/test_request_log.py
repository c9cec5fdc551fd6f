from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, Response, session

from mina_ops import MinaOps
from mina_ops.app.metrics.request_log import LOGGER, LineFormatter, RequestLog
from tests.support.wait import eventually


class Lines(list[str]):
    """What was logged."""

    def are(self, *lines: str) -> bool:
        """Whether these are all, soon."""
        return bool(eventually(lambda: list(self) == list(lines), message=str(lines)))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    found = Lines()
    caplog.set_level(logging.INFO)

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Keep()
    logging.getLogger(LOGGER).addHandler(handler)
    yield found
    logging.getLogger(LOGGER).removeHandler(handler)


def host(**config: object) -> Flask:
    app = Flask(__name__)
    app.config.update({"SECRET_KEY": "test", **config})
    MinaOps(app)

    @app.get("/login")
    def login() -> str:
        session["_user_id"] = "12345"  # as Flask-Login does
        return "in"

    @app.get("/api/sessions")
    @app.post("/api/sessions")
    def sessions() -> str:
        return "[]"

    @app.get("/boom")
    def boom() -> Response:
        raise RuntimeError

    return app


def test_a_request_is_one_line(lines: Lines) -> None:
    client = host().test_client()
    client.get("/api/sessions?token=secret").close()
    client.post("/api/sessions").close()
    assert lines.are("REQUEST GET /api/sessions", "REQUEST POST /api/sessions")


def test_a_user_who_is_logged_in_is_named(lines: Lines) -> None:
    client = host().test_client()
    client.get("/login").close()
    client.get("/api/sessions").close()
    assert lines.are("REQUEST GET /login user_id=12345", "REQUEST GET /api/sessions user_id=12345")


def test_a_copy_that_a_release_mirrors_is_marked_and_counts(lines: Lines) -> None:
    app = host()
    client = app.test_client()
    client.get("/login").close()
    client.get("/api/sessions", headers={"X-Mina-Shadow": "1"}).close()
    assert lines.are(
        "REQUEST GET /login user_id=12345", "REQUEST GET /api/sessions user_id=12345 shadow=1"
    )
    eventually(lambda: client.get("/api/metrics/errors").get_json()["requests"] == 2)


def test_naming_the_user_does_not_make_answers_vary(lines: Lines) -> None:
    client = host().test_client()
    client.get("/login").close()
    with client.get("/api/sessions") as answer:
        assert "Vary" not in answer.headers
    eventually(lambda: any(line.endswith("sessions user_id=12345") for line in lines))


def test_an_exception_that_escapes_is_logged_too(lines: Lines) -> None:
    client = host(TESTING=True).test_client()
    with pytest.raises(RuntimeError):
        client.get("/boom")
    assert lines.are("REQUEST GET /boom")


def test_probes_and_our_routes_are_not_logged(lines: Lines) -> None:
    client = host().test_client()
    for path in ("/api/health/live", "/api/metrics/errors", "/metrics", "/api/flags"):
        client.get(path).close()
    client.get("/api/sessions").close()
    assert lines.are("REQUEST GET /api/sessions")


def test_the_log_can_be_switched_off(lines: Lines) -> None:
    app = host(MINA_OPS_REQUEST_LOG=False)
    app.test_client().get("/api/sessions").close()
    app.extensions["mina_ops"].close()
    assert lines == []


def test_the_hosts_level_holds(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    app = host()
    app.test_client().get("/api/sessions").close()
    app.extensions["mina_ops"].close()
    assert lines == []


def test_what_waits_at_the_end_is_written(lines: Lines) -> None:
    app = host()
    client = app.test_client()
    for _ in range(50):
        client.get("/api/sessions").close()
    app.extensions["mina_ops"].close()
    assert len(lines) == 50


def test_a_line_keeps_the_time_of_its_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = host()
    before = time.time()
    app.test_client().get("/api/sessions").close()
    after = time.time()
    app.extensions["mina_ops"].close()
    record = next(one for one in caplog.records if one.name == LOGGER)
    assert before <= record.created <= after


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/a\nREQUEST GET /forged", "/a%0AREQUEST%20GET%20/forged"),
        ("/a user_id=1", "/a%20user_id=1"),
        ("/\x1b[31m", "/%1B%5B31m"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("", ""),
    ],
)
def test_a_path_cannot_forge_a_line(lines: Lines, path: str, shown: str) -> None:
    log = RequestLog()
    log({"REQUEST_METHOD": "GET", "PATH_INFO": path})
    log.close()
    assert lines == [f"REQUEST GET {shown}"]


def test_the_playbooks_form_is_there_for_any_handler() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    record = logging.LogRecord(LOGGER, logging.INFO, "", 0, "REQUEST GET /api/sessions", (), None)
    handler.emit(record)
    form = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] REQUEST GET /api/sessions\n"
    assert re.fullmatch(form, stream.getvalue())


def test_two_that_write_at_once_write_each_line_once(lines: Lines) -> None:
    log = RequestLog()
    for number in range(2_000):
        log({"REQUEST_METHOD": "GET", "PATH_INFO": f"/{number}"})
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(log.write) for _ in range(4)]:
            done.result()
    log.close()
    assert sorted(lines) == sorted(f"REQUEST GET /{number}" for number in range(2_000))
