"""Two want one path: it is said, and neither the host's routes nor our kill switch vanish."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator

import pytest
from flask import Flask

from mina_ops import MinaOps
from tests.support.wait import eventually

TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture
def host() -> Iterator[Flask]:
    app = Flask(__name__)
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"ops": hashlib.sha256(b"secret").hexdigest()}
    app.add_url_rule("/admin/flags", "flag_page", lambda: "the host's flags", methods=["GET"])
    ops = MinaOps(app)
    app.add_url_rule("/api/health", "own_health", lambda: "the host's health")
    app.add_url_rule("/api/health/queue", "queue", lambda: "the host's queue")
    app.add_url_rule("/api/health/report", "take", lambda: "taken", methods=["POST"])
    app.add_url_rule("/admin/flags/<name>/", "one_flag", lambda name: f"the host's {name}")
    app.add_url_rule("/metrics", "exporter", lambda: "the host's metrics")
    yield app
    ops.close()


def test_each_clash_is_named_with_rule_endpoint_and_who_answers(host: Flask) -> None:
    found = host.test_client().get("/admin/clashes", headers=TOKEN).get_json()["clashes"]
    told = {clash["path"]: (clash["endpoint"], clash["answered_by"]) for clash in found}
    assert told == {
        "/admin/flags": ("flag_page", "host"),
        "/api/health": ("own_health", "mina_ops"),
        "/metrics": ("exporter", "host"),
        "/admin/flags/<key>": ("one_flag", "mina_ops"),
    }
    assert host.test_client().get("/admin/clashes").status_code == 401


def test_they_are_in_the_log_when_the_process_starts_to_serve(
    host: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        host.test_client().get("/api/health/live")
        eventually(lambda: "/metrics: the host's exporter" in caplog.text)
    assert "/admin/flags: the host's flag_page (/admin/flags), host answers" in caplog.text


def test_names_below_health_that_we_do_not_know_are_the_hosts(host: Flask) -> None:
    client = host.test_client()
    assert client.get("/api/health/queue").text == "the host's queue"
    assert client.post("/api/health/report").text == "taken"
    unknown = client.get("/api/health/nothing")
    assert (unknown.status_code, unknown.mimetype) == (404, "application/problem+json")
    assert client.get("/api/health").is_json
    assert client.post("/api/health").status_code == 405


def test_the_hosts_own_metrics_stay_unless_ours_are_asked_for(host: Flask) -> None:
    assert host.test_client().get("/metrics").text == "the host's metrics"
    app = Flask(__name__)
    app.config["MINA_OPS_PROMETHEUS_PATH"] = "/metrics"
    app.add_url_rule("/metrics", "exporter", lambda: "the host's metrics")
    ops = MinaOps(app)
    try:
        assert "mina_build_info" in app.test_client().get("/metrics").text
    finally:
        ops.close()


def test_a_host_without_clashes_hears_of_none() -> None:
    app = Flask(__name__)
    app.add_url_rule("/<path:page>", "spa", lambda page: page)
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"ops": hashlib.sha256(b"secret").hexdigest()}
    ops = MinaOps(app)
    try:
        answer = app.test_client().get("/admin/clashes", headers=TOKEN)
        assert answer.get_json() == {"clashes": []}
    finally:
        ops.close()
