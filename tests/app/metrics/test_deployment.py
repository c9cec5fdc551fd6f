"""The dashboard and the alert rules that we ship, against what we expose."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mina_ops.demo.programs import installed
from tests.support.needs import need

DEPLOYMENT = Path(__file__).parents[3] / "deployment"
ALERTS = DEPLOYMENT / "prometheus-alerts.yml"
OURS = re.compile(r"\b(?:mina|http_server)_[a-z_]+")
EXPOSED = {
    "http_server_request_duration_seconds_bucket",
    "http_server_request_duration_seconds_count",
    "mina_active_sessions",
    "mina_build_info",
    "mina_error_ratio",
    "mina_recent_requests",
    "mina_recent_handshakes",
    "mina_recent_outcomes",
    "mina_metrics_stale",
    "mina_outcome_success_ratio",
    "mina_outcomes_total",
    "mina_reporters",
    "mina_request_duration_quantile_seconds",
    "mina_websocket_handshakes_total",
    "mina_websocket_success_ratio",
}


@pytest.fixture
def promtool() -> Path:
    return need(lambda: installed("promtool", "Install Debian's prometheus."))


def dashboard() -> dict[str, Any]:
    body: dict[str, Any] = json.loads((DEPLOYMENT / "grafana-dashboard.json").read_text())
    return body


def expressions() -> list[str]:
    shown = [t["expr"] for panel in dashboard()["panels"] for t in panel.get("targets", ())]
    shown += [mark["expr"] for mark in dashboard()["annotations"]["list"]]
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return shown + [rule["expr"] for rule in rules]


def test_the_alert_rules_are_valid(promtool: Path) -> None:
    check = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", ALERTS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_alerts_fire_at_the_playbooks_limits(promtool: Path, tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("prometheus-alerts.test.yml"), tmp_path)
    check = subprocess.run(
        [promtool, "test", "rules", "prometheus-alerts.test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_only_metrics_that_we_expose_are_asked_for() -> None:
    asked = {name for expression in expressions() for name in OURS.findall(expression)}
    assert asked - EXPOSED == set()


def test_panels_have_their_own_ids_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
