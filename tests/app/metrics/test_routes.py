from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from mina_ops import MinaOps
from mina_ops.app.runtime import Runtime
from tests.support.wait import eventually

COMMON = {"environment", "window_seconds", "samples", "reporters", "generated_at", "stale"}
ENDPOINTS = {
    "errors": {"error_rate_5min", "errors_5min", "requests_5min", "error_rate"},
    "performance": {"p50_ms", "p95_ms", "p99_ms", "requests_per_second"},
    "histogram": {"histogram_ms", "reads_ms"},
    "websockets": {"connection_success_rate", "attempts", "failures"},
    "sessions/active": {"active_sessions"},
    "transcriptions/completion_rate": {"completion_rate"},
    "ai/insights_success_rate": {"insights_success_rate"},
    "outcomes/transcription": {"success_rate"},
}


@pytest.fixture
def app() -> Iterator[Flask]:
    app = Flask(__name__)
    app.config.update(ENVIRONMENT="blue", MINA_OPS_BEAT=0.05, PROPAGATE_EXCEPTIONS=False)
    ops = MinaOps(app)
    ops.active_sessions(lambda: 7)

    @app.get("/works")
    def works() -> str:
        return "yes"

    @app.get("/fails")
    def fails() -> Response:
        return Response(status=500)

    yield app
    app.extensions["mina_ops"].heartbeat.stop()


@pytest.fixture
def runtime(app: Flask) -> Runtime:
    runtime: Runtime = app.extensions["mina_ops"]
    return runtime


def ask(client: FlaskClient, path: str) -> dict[str, Any]:
    with client.get(f"/api/metrics/{path}") as answer:
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json
        return body


def await_samples(client: FlaskClient, path: str, samples: int) -> dict[str, Any]:
    def full() -> dict[str, Any] | None:
        body = ask(client, path)
        return body if body["samples"] == samples else None

    return eventually(full, message=f"{samples} samples in {path}")


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_answer_has_its_own_keys_and_the_common_ones(client: FlaskClient, name: str) -> None:
    body = ask(client, name)
    assert body.keys() >= COMMON | ENDPOINTS[name]
    assert body["environment"] == "blue"


@pytest.mark.parametrize("name", sorted(set(ENDPOINTS) - {"sessions/active"}))
def test_no_data_is_null_with_no_samples(client: FlaskClient, name: str) -> None:
    body = ask(client, f"{name}?environment=green")
    assert body["samples"] == 0
    assert body["environment"] == "green"
    rates = {"error_rate_5min", "p50_ms", "p99_ms", "requests_per_second", "success_rate"}
    rates |= {"connection_success_rate", "completion_rate", "insights_success_rate"}
    assert {body[key] for key in rates & body.keys()} <= {None}


def test_the_error_rate_is_percent(client: FlaskClient) -> None:
    for path in ("/works", "/works", "/works", "/fails"):
        client.get(path).close()
    body = await_samples(client, "errors", 4)
    assert (body["error_rate_5min"], body["errors_5min"], body["requests_5min"]) == (25.0, 1, 4)


def test_another_window_has_its_own_rate_beside_that_of_five_minutes(client: FlaskClient) -> None:
    client.get("/fails").close()
    body = await_samples(client, "errors?window=60", 1)
    assert body["window_seconds"] == 60
    assert body["error_rate"] == body["error_rate_5min"] == 100.0


def test_quantiles_and_rate_come_from_the_requests(client: FlaskClient, runtime: Runtime) -> None:
    for hundredth in range(1, 101):
        runtime.metrics.durations[("GET", "/x", "200 OK")].append(hundredth / 100)
    body = await_samples(client, "performance", 100)
    assert body["p50_ms"] == pytest.approx(500, rel=0.01)
    assert body["p95_ms"] == pytest.approx(950, rel=0.01)
    assert body["p99_ms"] == pytest.approx(990, rel=0.01)
    assert body["requests_per_second"] == pytest.approx(100 / 305, rel=0.02)
    histogram = ask(client, "histogram")["histogram_ms"]
    assert sum(count for _, count in histogram) == 100
    assert histogram == sorted(histogram)


def test_reads_are_told_apart_from_what_changes_something(
    client: FlaskClient, runtime: Runtime
) -> None:
    for method, times in (("GET", 3), ("HEAD", 2), ("POST", 7), ("DELETE", 1)):
        runtime.metrics.durations[(method, "/x", "200 OK")].extend([0.1] * times)
    body = await_samples(client, "histogram", 13)
    assert [count for _, count in body["histogram_ms"]] == [13]
    assert [count for _, count in body["reads_ms"]] == [5]
    assert body["reads_ms"][0][0] == body["histogram_ms"][0][0]


def test_refusals_while_draining_are_no_failures(client: FlaskClient, runtime: Runtime) -> None:
    for result in ("accepted", "accepted", "accepted", "full", "draining", "draining"):
        runtime.metrics.handshake(result)
    body = await_samples(client, "websockets", 4)
    assert body["connection_success_rate"] == 75.0
    assert body["failures"] == {"full": 1}
    assert body["refused_while_draining"] == 2


@pytest.mark.parametrize(
    ("name", "path", "key"),
    [
        ("transcription", "transcriptions/completion_rate", "completion_rate"),
        ("ai_insights", "ai/insights_success_rate", "insights_success_rate"),
        ("checkout", "outcomes/checkout", "success_rate"),
    ],
)
def test_outcomes_have_a_success_rate(
    app: Flask, client: FlaskClient, runtime: Runtime, name: str, path: str, key: str
) -> None:
    outcome = runtime.metrics.outcome(name)
    outcome.success()
    outcome.success()
    outcome.success()
    outcome.failure()
    assert await_samples(client, path, 4)[key] == 75.0


def test_an_outcome_that_nobody_has_is_not_found(client: FlaskClient) -> None:
    with client.get("/api/metrics/outcomes/nope") as answer:
        assert answer.status_code == 404
        assert answer.json["code"] == "not_found"


def test_active_sessions_are_what_the_host_counts(client: FlaskClient) -> None:
    body = await_samples(client, "sessions/active", 1)
    assert body["active_sessions"] == 7


@pytest.mark.parametrize(
    ("query", "field"),
    [("window=0", "window"), ("environment=red", "environment"), ("windw=60", "windw")],
)
def test_a_wrong_query_is_400_and_named(client: FlaskClient, query: str, field: str) -> None:
    for name in ENDPOINTS:
        with client.get(f"/api/metrics/{name}?{query}") as answer:
            assert answer.status_code == 400
            assert answer.json["field"] == field


def test_names_of_bad_form_are_refused_and_many_names_are_bounded(runtime: Runtime) -> None:
    metrics = runtime.metrics
    for name in ("", "a b", "a:b", "x" * 65, "é"):
        with pytest.raises(ValueError, match="is no name"):
            metrics.outcome(name)
        with pytest.raises(ValueError, match="is no name"):
            metrics.handshake(name)
    for number in range(1000):
        metrics.outcome(f"name{number}").success()
    assert len(metrics.figures.outcome_names("blue")) <= 101
