"""The Kubernetes manifests against the app's real answers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from prometheus_client.parser import text_string_to_metric_families

from mina_ops import MinaOps
from mina_ops.demo.programs import installed
from tests.support.needs import need
from tests.support.wait import eventually

FOLDER = Path(__file__).parents[2] / "deployment" / "kubernetes"
SHAPES = {
    "AnalysisTemplate": ("argoproj.io/v1alpha1", {"args", "metrics"}),
    "Rollout": ("argoproj.io/v1alpha1", {"selector", "template", "strategy"}),
    "MetricTemplate": ("flagger.app/v1beta1", {"provider", "query"}),
    "Canary": ("flagger.app/v1beta1", {"targetRef", "service", "analysis"}),
    "Deployment": ("apps/v1", {"selector", "template"}),
    "Service": ("v1", {"selector", "ports"}),
}
MANIFESTS = [
    manifest
    for engine in ("argo-rollouts", "flagger")
    for path in sorted(FOLDER.glob(f"{engine}/*.yml"))
    for manifest in yaml.safe_load_all(path.read_text())
    if "spec" in manifest
]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [manifest for manifest in MANIFESTS if manifest["kind"] == kind]


ANALYSIS = of_kind("AnalysisTemplate")[0]["spec"]
WEB = {m["name"]: m for m in ANALYSIS["metrics"] if "web" in m["provider"]}
QUERIES = {m["metadata"]["name"]: m["spec"]["query"] for m in of_kind("MetricTemplate")} | {
    m["name"]: m["provider"]["prometheus"]["query"]
    for m in ANALYSIS["metrics"]
    if "prometheus" in m["provider"]
}


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    """An app named as the manifests name it, with a database, after one request and handshake."""
    app = Flask(__name__)
    app.config.update(
        ENVIRONMENT="7d9f8c6b54",
        MINA_OPS_INSTANCE="mina-7d9f8c6b54-x2x9k",
        MINA_OPS_COLOURS=("mina-primary", "mina"),
        MINA_OPS_BEAT=0.05,
        SQLALCHEMY_DATABASE_URI="sqlite://",
    )
    MinaOps(app, db=SQLAlchemy(app))
    app.add_url_rule("/", "page", lambda: "page")
    runtime = app.extensions["mina_ops"]
    client = app.test_client()
    client.get("/").close()
    runtime.metrics.handshake("accepted")
    for name in ("errors", "websockets"):
        eventually(lambda name=name: (client.get(f"/api/metrics/{name}").json or {})["samples"])
    eventually(lambda: (client.get("/api/health/db").json or {})["status"] == "connected")
    yield client
    runtime.heartbeat.stop()


def _path(metric: dict[str, Any]) -> str:
    return re.sub(r"^http://[^/]+", "", str(metric["provider"]["web"]["url"]))


def _holds(condition: str, result: Any) -> bool:
    """What the engine's expression says; the few operators used are Python's under other names."""
    python = condition.replace("&&", " and ").replace("||", " or ").replace("false", "False")
    python = re.sub(r"result\.(\w+)", r"result['\1']", python)
    return bool(eval(python, {"result": result, "len": len}))  # noqa: S307 - our own files


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: m["metadata"]["name"])
def test_a_manifest_has_its_kinds_version_and_parts(manifest: dict[str, Any]) -> None:
    version, parts = SHAPES[manifest["kind"]]
    assert manifest["apiVersion"] == version
    assert parts <= manifest["spec"].keys()


@pytest.mark.parametrize("name", WEB)
def test_each_path_and_key_of_the_analysis_is_in_the_apps_answer(
    name: str, client: FlaskClient
) -> None:
    metric = WEB[name]
    answer = client.get(_path(metric))
    assert answer.status_code == 200
    keys = set(
        re.findall(r"result\.(\w+)", metric["successCondition"] + metric["failureCondition"])
    )
    assert keys
    assert keys <= (answer.json or {}).keys()


@pytest.mark.parametrize("name", ["error-rate", "websocket-success"])
def test_no_data_and_stale_data_neither_pass_nor_fail(name: str, client: FlaskClient) -> None:
    metric = WEB[name]
    body = client.get(_path(metric)).json or {}
    assert "samples" in body
    few = {key: None if key.endswith("rate") else value for key, value in body.items()}
    stale = {**body, "samples": 5000, "stale": True}
    for conditions in (metric["successCondition"], metric["failureCondition"]):
        assert not _holds(conditions, {**few, "samples": 0})
        assert not _holds(conditions, stale)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("error-rate", {"error_rate": 5.0}, {"error_rate": 6.0}),
        ("websocket-success", {"connection_success_rate": 95.0}, {"connection_success_rate": 94.0}),
        ("database", {"status": "connected", "latency_ms": 12}, {"latency_ms": 501}),
        ("ai-service", {"status": "disabled"}, {"status": "unavailable"}),
    ],
)
def test_the_playbooks_limits_decide(
    name: str, good: dict[str, Any], bad: dict[str, Any], client: FlaskClient
) -> None:
    metric = WEB[name]
    body = {**(client.get(_path(metric)).json or {}), "samples": 50, "stale": False}
    assert _holds(metric["successCondition"], {**body, **good})
    assert not _holds(metric["failureCondition"], {**body, **good})
    assert _holds(metric["failureCondition"], {**body, **bad})
    assert not _holds(metric["successCondition"], {**body, **bad})


@pytest.mark.parametrize("name", QUERIES)
def test_each_metric_and_label_of_a_query_is_exposed(name: str, client: FlaskClient) -> None:
    exposed: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            exposed.setdefault(sample.name, set()).update(sample.labels)
    selectors = re.findall(r"\b((?:http|mina)_\w+)\{((?:[^{}]|\{\{[^}]*\}\})*)\}", QUERIES[name])
    assert len(selectors) >= 2
    for metric, matchers in selectors:
        assert metric in exposed, metric
        assert set(re.findall(r'(\w+)=~?"', matchers)) <= exposed[metric], metric


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_makes_a_figure_up(name: str) -> None:
    assert "vector(" not in QUERIES[name]
    assert " and " in QUERIES[name].replace("\n", " ")


@pytest.mark.parametrize("name", QUERIES)
def test_prometheus_itself_can_parse_each_query(name: str, tmp_path: Path) -> None:
    query = QUERIES[name].replace("{{ interval }}", "1m").replace("{{ target }}", "mina")
    rules = tmp_path / "rules.yml"
    rules.write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": [{"record": "r", "expr": query}]}]})
    )
    promtool = need(lambda: installed("promtool", "Install Debian's prometheus."))
    done = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_probe_of_the_rollout_is_answered(client: FlaskClient) -> None:
    pod = of_kind("Rollout")[0]["spec"]["template"]["spec"]["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert client.get(pod[probe]["httpGet"]["path"]).status_code in (200, 503)


def test_every_name_that_a_manifest_refers_to_is_there() -> None:
    templates = {m["metadata"]["name"] for m in of_kind("MetricTemplate")}
    for metric in of_kind("Canary")[0]["spec"]["analysis"]["metrics"]:
        assert metric["templateRef"]["name"] in templates
    steps = of_kind("Rollout")[0]["spec"]["strategy"]["canary"]["steps"]
    needed = {arg["name"] for arg in ANALYSIS["args"] if "value" not in arg}
    for step in (s["analysis"] for s in steps if "analysis" in s):
        assert step["templates"] == [
            {"templateName": of_kind("AnalysisTemplate")[0]["metadata"]["name"]}
        ]
        assert {arg["name"] for arg in step["args"]} == needed
