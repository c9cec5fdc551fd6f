"""The load test holds the playbook's limits, and runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from mina_ops.demo.stage import Keys, app_environment, prepare_database, start_app, start_standin
from tests.playbook.lines import REPOSITORY
from tests.support.needs import missing

pytestmark = pytest.mark.once

FILE = REPOSITORY / "deployment" / "load-test.yml"


def test_limits_are_the_playbooks() -> None:
    config = yaml.safe_load(FILE.read_text())["config"]
    (phase,) = config["phases"]
    assert (phase["duration"], phase["maxVusers"]) == (300, 100)
    limits = {key: value for item in config["ensure"]["thresholds"] for key, value in item.items()}
    assert limits == {"http.response_time.p95": 500, "http.response_time.p99": 1000}
    conditions = " ".join(item["expression"] for item in config["ensure"]["conditions"])
    assert conditions.count("< 0.1") == 2
    assert "> 99.9" in conditions


@pytest.mark.integration
@pytest.mark.timeout(400)
def test_artillery_runs_it_against_the_demo(tmp_path: Path, node: Path) -> None:
    artillery = REPOSITORY / "node_modules" / ".bin" / "artillery"
    if not artillery.exists():
        missing("artillery is not installed; npm install")
    keys = Keys()
    # A few users, whose figures a busy machine cannot spoil; the real run is 300 s by hand.
    short = {"phases": [{"duration": 5, "arrivalRate": 5}]}
    slow = {"thresholds": [{"http.response_time.p99": 20_000}]}
    conditions = yaml.safe_load(FILE.read_text())["config"]["ensure"]["conditions"]
    overrides = {"config": {**short, "ensure": {**slow, "conditions": conditions}}}
    with start_standin(tmp_path) as standin:
        environment = app_environment(tmp_path, keys, standin, redis=None)
        prepare_database(tmp_path, environment, keys)
        with start_app(tmp_path, environment, "green") as app:
            argv = [artillery, "run", "deployment/load-test.yml", "--target", app.url]
            done = subprocess.run(
                [*argv, "--overrides", json.dumps(overrides)],
                cwd=REPOSITORY,
                env={
                    **os.environ,
                    "TEST_TOKEN": keys.test_token,
                    "ARTILLERY_DISABLE_TELEMETRY": "true",
                },
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"vusers\.failed: \.+ 0\n", done.stdout)
    assert "fail:" not in done.stdout
    assert done.stdout.count("ok:") == 4
