from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.stage import Keys, app_environment, prepare_database, start_app, start_standin

REPOSITORY = Path(__file__).parents[2]
# The playbook's list, pre-deployment checklist 4.
NAMED = {
    "test_transcription_pipeline",
    "test_session_finalization",
    "test_websocket_reconnection",
    "test_ai_insights_generation",
}


@pytest.mark.timeout(400)
def test_the_playbooks_smoke_command_passes_and_writes_its_report(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    argv = [sys.executable, "-m", "pytest", "tests/smoke/", "-v", f"--html={report}"]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    passed = {
        line.split("::")[1].split()[0] for line in done.stdout.splitlines() if " PASSED" in line
    }
    assert passed >= NAMED
    assert report.is_file()


@pytest.mark.integration
@pytest.mark.timeout(400)
def test_smoke_tests_that_fail_leave_no_session_behind(tmp_path: Path) -> None:
    keys = Keys()
    with start_standin(tmp_path) as standin:
        environment = app_environment(tmp_path, keys, standin, redis=None)
        prepare_database(tmp_path, environment, keys)
    # Without the language model no summary is made, so two of the tests fail.
    with start_app(tmp_path, environment, "green") as app:
        argv = [sys.executable, "-m", "pytest", "tests/smoke/", "-q", "--base-url", app.url]
        done = subprocess.run(
            argv,
            cwd=REPOSITORY,
            env={**os.environ, "TEST_TOKEN": keys.test_token},
            capture_output=True,
            text=True,
            timeout=300,
        )
        headers = {"Authorization": f"Bearer {keys.test_token}"}
        left = httpx.get(f"{app.url}/api/sessions", headers=headers, timeout=30).json()
    assert done.returncode == 1, done.stdout
    assert "test_session_finalization" in done.stdout
    assert left["sessions"] == []
