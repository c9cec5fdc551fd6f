from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_socketio import SocketIO
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from mina_ops import MinaOps
from mina_ops.app.runtime import Runtime
from mina_ops.demo.programs import installed
from tests.support.needs import need

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def app() -> Iterator[Flask]:
    app = Flask(__name__)
    app.config.update(ENVIRONMENT="blue", APP_VERSION="v2", MINA_OPS_BEAT=0.05)
    MinaOps(app)
    metrics = app.extensions["mina_ops"].metrics
    for _ in range(3):
        metrics.durations[("GET", "/api/sessions/<int:id>", "200 OK")].append(0.03)
    metrics.durations[("POST", '/odd"\\\n:<path:x>', "500 X")].append(20.0)
    metrics.handshake("accepted")
    metrics.handshake("bad_request")
    metrics.outcome("transcription").success()
    metrics.flush(time.time())
    yield app
    app.extensions["mina_ops"].heartbeat.stop()


def scrape(client: FlaskClient, accept: str = "") -> tuple[str, str]:
    with client.get("/metrics", headers={"Accept": accept}) as answer:
        assert answer.status_code == 200
        return answer.text, answer.headers["Content-Type"]


def samples(text: str) -> dict[tuple[str, str, str], float]:
    found = {}
    for family in parse_text(text):
        for sample in family.samples:
            labels = sample.labels
            route = labels.get("http_route", labels.get("outcome", ""))
            edge = labels.get("le", labels.get("result", labels.get("q", "")))
            found[sample.name, route, edge] = sample.value
    return found


def test_plain_text_is_the_default(client: FlaskClient) -> None:
    text, content_type = scrape(client)
    assert content_type.startswith("text/plain; version=0.0.4")
    assert "# TYPE http_server_request_duration_seconds histogram" in text


def test_openmetrics_is_given_to_whom_accepts_it(client: FlaskClient) -> None:
    text, content_type = scrape(client, OPENMETRICS)
    assert content_type.startswith(OPENMETRICS)
    assert text.endswith("# EOF\n")
    names = {family.name for family in parse_openmetrics(text)}
    assert {"http_server_request_duration_seconds", "mina_outcomes"} <= names


def test_durations_are_cumulative_buckets_with_opentelemetrys_names(client: FlaskClient) -> None:
    found = samples(scrape(client)[0])
    name, route = "http_server_request_duration_seconds", "/api/sessions/<int:id>"
    assert found[f"{name}_bucket", route, "0.025"] == 0
    assert found[f"{name}_bucket", route, "0.05"] == 3
    assert found[f"{name}_bucket", route, "+Inf"] == found[f"{name}_count", route, ""] == 3
    assert found[f"{name}_sum", route, ""] == pytest.approx(0.09)


def test_labels_say_method_status_route_and_error(client: FlaskClient) -> None:
    (family,) = [f for f in parse_text(scrape(client)[0]) if f.name.startswith("http_server")]
    labels = [s.labels for s in family.samples if s.name.endswith("_count")]
    common = {"environment": "blue", "version": "v2"}
    assert labels == [
        common
        | {
            "http_request_method": "GET",
            "http_response_status_code": "200",
            "http_route": "/api/sessions/<int:id>",
            "error_type": "",
        },
        common
        | {
            "http_request_method": "POST",
            "http_response_status_code": "500",
            "http_route": '/odd"\\\n:<path:x>',
            "error_type": "500",
        },
    ]


def test_ratios_are_between_0_and_1(client: FlaskClient) -> None:
    found = samples(scrape(client)[0])
    assert found["mina_error_ratio", "", ""] == 0.25
    assert found["mina_websocket_success_ratio", "", ""] == 0.5
    assert found["mina_outcome_success_ratio", "transcription", ""] == 1.0
    assert found["mina_request_duration_quantile_seconds", "", "0.5"] == pytest.approx(
        0.03, rel=0.01
    )


def test_counters_tell_results_apart(client: FlaskClient) -> None:
    found = samples(scrape(client)[0])
    assert found["mina_websocket_handshakes_total", "", "accepted"] == 1
    assert found["mina_websocket_handshakes_total", "", "bad_request"] == 1
    assert found["mina_outcomes_total", "transcription", "success"] == 1


def test_what_has_no_data_is_absent() -> None:
    app = Flask(__name__)
    MinaOps(app)
    text = scrape(app.test_client())[0]
    app.extensions["mina_ops"].heartbeat.stop()
    names = {name for name, _, _ in samples(text)}
    assert names == {"mina_reporters", "mina_metrics_stale", "mina_build_info", "mina_draining"}


def test_other_parts_can_show_gauges(app: Flask, client: FlaskClient) -> None:
    runtime: Runtime = app.extensions["mina_ops"]
    runtime.metrics.gauge("mina_test_gauge", "A test.", lambda: 3.0)
    runtime.metrics.gauge("mina_absent_gauge", "No reading.", lambda: None)
    found = samples(scrape(client)[0])
    assert found["mina_test_gauge", "", ""] == 3.0
    assert ("mina_absent_gauge", "", "") not in found


def test_live_sessions_are_a_gauge_where_there_is_socketio() -> None:
    app = Flask(__name__)
    MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
    client = app.test_client()
    assert client.get("/socket.io/?EIO=4&transport=polling").status_code == 200
    found = samples(scrape(client)[0])
    app.extensions["mina_ops"].heartbeat.stop()
    assert found["mina_ops_process_connections", "", ""] == 1


@pytest.mark.parametrize(("path", "status"), [("/internal/metrics", 200), ("", 404)])
def test_the_path_is_a_setting(path: str, status: int) -> None:
    app = Flask(__name__)
    app.config["MINA_OPS_PROMETHEUS_PATH"] = path
    MinaOps(app)
    client = app.test_client()
    with client.get(path or "/metrics") as answer:
        assert answer.status_code == status
    with client.get("/metrics") as answer:
        assert answer.status_code == 404
    app.extensions["mina_ops"].heartbeat.stop()


def test_promtool_finds_nothing_to_complain_about(client: FlaskClient) -> None:
    promtool = need(lambda: installed("promtool", "Install Debian's prometheus."))
    text, _ = scrape(client)
    check = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (check.returncode, check.stdout + check.stderr) == (0, "")
