"""What the quickstart tells a stranger to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from mina_ops.app.runtime import Runtime
from mina_ops.operator.config.settings import load
from tests.support.command import MINA_OPS

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.usefixtures("no_shared_state")
def test_the_app_serves_its_health() -> None:
    names: dict[str, object] = {"__name__": "quickstart"}
    exec(compile(block("python"), str(PAGE), "exec"), names)  # noqa: S102 - our own page
    app = names["app"]
    assert isinstance(app, Flask)
    runtime: Runtime = app.extensions["mina_ops"]
    try:
        client = app.test_client()
        assert client.get("/api/health/live").status_code == 200
        health = client.get("/api/health").get_json()
        assert health["checks"]["database"]["status"] != "disabled"
        assert health["checks"]["websockets"]["status"] != "disabled"
    finally:
        runtime.heartbeat.stop()


def test_its_command_writes_the_files_that_it_names(tmp_path: Path) -> None:
    line = next(line for line in PAGE.read_text().splitlines() if line.startswith("mina-ops init"))
    options = [*shlex.split(line)[1:], "--yes"]
    done = subprocess.run([str(MINA_OPS), *options], cwd=tmp_path, check=True, capture_output=True)
    assert b"mina-ops doctor" in done.stdout
    assert set(load(tmp_path / "mina-ops.toml").colours) == {"blue", "green"}
    for name in ("mina.token", "mina.env", "blue.env", "green.env", "systemd/mina-blue.target"):
        assert (tmp_path / name).is_file()
    for unit in re.findall(r"mina-(?:blue|green)-\d", PAGE.read_text()):
        assert (tmp_path / "systemd" / f"{unit}.service").is_file()


@pytest.fixture
def no_shared_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'app.db'}")
