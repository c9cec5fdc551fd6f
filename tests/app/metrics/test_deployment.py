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
    "mina_draining",
    "mina_error_ratio",
    "mina_recent_requests",
    "mina_recent_handshakes",
    "mina_recent_outcomes",
    "mina_metrics_stale",
    "mina_outcome_success_ratio",
    "mina_outcomes_total",
    "mina_release_phase",
    "mina_release_share_ratio",
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


def _marks(expression: str, at: str, *series: tuple[str, str]) -> dict[str, Any]:
    """A promtool test: what an annotation's query finds at a moment, scraped every 15 s."""
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [{"expr": expression, "eval_time": at, "exp_samples": []}],
    }


def _query(name: str) -> str:
    marks = {mark["name"]: mark["expr"] for mark in dashboard()["annotations"]["list"]}
    return str(marks[name]).replace("$environment", ".*")


def _evaluated(promtool: Path, folder: Path, test: dict[str, Any], *expected: str) -> str:
    """ "" if the query finds these labels and no others; else what promtool says."""
    samples = [{"labels": labels, "value": 1} for labels in expected]
    test["promql_expr_test"][0]["exp_samples"] = samples
    file = folder / "marks.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    argv = [promtool, "test", "rules", file]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_a_phase_is_marked_when_it_begins_and_once_for_both_colours(
    promtool: Path, tmp_path: Path
) -> None:
    labels = 'release="v2",phase="{}",environment="{}",version="v"'
    series = [
        (f"mina_release_phase{{{labels.format(phase, colour)}}}", values)
        for colour in ("blue", "green")
        for phase, values in (("smoke", "1x8 stale"), ("switch", "_x8 1x20"))
    ]
    query = _query("Release phases")
    begun = '{release="v2", phase="switch"}'
    assert _evaluated(promtool, tmp_path, _marks(query, "2m15s", *series), begun) == ""
    # A minute later it is no news any more.
    assert _evaluated(promtool, tmp_path, _marks(query, "4m", *series)) == ""


def test_a_share_is_marked_for_each_colour_when_it_changes(promtool: Path, tmp_path: Path) -> None:
    labels = 'release="v2",environment="{}",version="v"'
    series = (
        (f"mina_release_share_ratio{{{labels.format('green')}}}", "0.1x8 0.29x20"),
        (f"mina_release_share_ratio{{{labels.format('blue')}}}", "0.9x8 0.71x20"),
    )
    query = _query("Release shares")
    changed = (
        '{release="v2", environment="green", percent="29"}',
        '{release="v2", environment="blue", percent="71"}',
    )
    assert _evaluated(promtool, tmp_path, _marks(query, "2m30s", *series), *changed) == ""
    assert _evaluated(promtool, tmp_path, _marks(query, "1m45s", *series)) == ""
    assert _evaluated(promtool, tmp_path, _marks(query, "4m", *series)) == ""


def test_a_drain_is_marked_for_as_long_as_it_lasts(promtool: Path, tmp_path: Path) -> None:
    series = (
        ('mina_draining{environment="blue",instance="a"}', "0x4 1x8 0x8"),
        ('mina_draining{environment="green",instance="b"}', "0x20"),
    )
    query = _query("Drains")
    for moment, found in (("30s", ()), ("2m", ('{environment="blue"}',)), ("4m", ())):
        assert _evaluated(promtool, tmp_path, _marks(query, moment, *series), *found) == ""
