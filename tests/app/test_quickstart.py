"""What the quickstart tells a stranger to type works as it stands there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from flask import Flask

from mina_ops.app.extension import Runtime
from mina_ops.operator.config.settings import load

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


def test_the_operators_file_is_one(tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text(block("toml"))
    settings = load(file)
    assert set(settings.colours) == set(tomllib.loads(block("toml"))["colours"])


@pytest.fixture
def no_shared_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'app.db'}")
