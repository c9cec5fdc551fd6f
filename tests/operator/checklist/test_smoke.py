"""The critical path of a host whose routes are named otherwise, by the table `[smoke]`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import smoke
from mina_ops.operator.config.smoke import PREFIX
from mina_ops.operator.config.tables import Table
from tests.support.command import MINA_OPS
from tests.support.hosts import REPOSITORY, Hosts
from tests.support.meetings_host import TOKEN

ROUTES = {
    "create": "POST /v1/meetings",
    "segment": "PUT /v1/meetings/{session}/lines",
    "finalize": "POST /v1/meetings/{session}/close",
    "show": "none",
    "delete": "DELETE /v1/meetings/{session}",
    "create_body": '{"name": "Smoke"}',
    "segment_body": '{"line": "we ship"}',
    "created": '{"state": "open"}',
    "segmented": "{}",
    "finalized": '{"state": "closed"}',
    "session_field": "id",
    "summary_field": "none",
    "namespace": "/",
    "event": "none",
    "token_env": "MEETINGS_TOKEN",
}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Start = Callable[..., str]


@pytest.fixture
def start(start_host: Hosts) -> Start:
    def start_one(**environment: str) -> str:
        app = "tests.support.meetings_host:app"
        return start_host(app, environment=environment).url

    return start_one


def _left(url: str) -> Any:
    return httpx.get(f"{url}/v1/meetings", headers=BEARER, timeout=20).json()["meetings"]


def _file(folder: Path, url: str, routes: Mapping[str, str]) -> str:
    keys = "\n".join(f"{name} = {json.dumps(value)}" for name, value in routes.items())
    colours = "".join(
        f'[colours.{name}]\nurl = "{address}"\n'
        for name, address in (("blue", "http://127.0.0.1:9"), ("green", url))
    )
    (folder / "mina-ops.toml").write_text(f"[smoke]\n{keys}\n{colours}")
    return str(folder / "mina-ops.toml")


def _walk(file: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MINA_OPS, "--config", file, "smoke", "green", *options],
        env={**os.environ, "MEETINGS_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.integration
def test_a_table_names_the_routes_and_the_walk_leaves_nothing(start: Start, tmp_path: Path) -> None:
    url = start()
    done = _walk(_file(tmp_path, url, ROUTES), "--json")
    items = {one["name"]: one["state"] for one in json.loads(done.stdout)["items"]}
    assert items == {
        "create": "ok",
        "segment": "ok",
        "finalize": "ok",
        "show": "skipped",
        "delete": "ok",
    }
    assert (done.returncode, _left(url)) == (0, [])


@pytest.mark.integration
def test_a_step_that_fails_is_named_and_the_session_is_removed(
    start: Start, tmp_path: Path
) -> None:
    url = start(CLOSED="still open")
    done = _walk(_file(tmp_path, url, ROUTES))
    assert done.returncode == 3
    assert '/close answers state "still open", not "closed"' in done.stdout
    assert _left(url) == []


def test_the_dry_run_shows_the_requests_as_curl_lines(tmp_path: Path) -> None:
    done = _walk(_file(tmp_path, "http://127.0.0.1:9", ROUTES), "--dry-run")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("curl -X POST http://127.0.0.1:9/v1/meetings ")
    assert "$MEETINGS_TOKEN" in lines[0]
    assert '{"name": "Smoke"}' in lines[0]


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_the_smoke_suite_runs_against_a_host_of_other_routes(start: Start) -> None:
    url = start()
    routes = {PREFIX + name.upper(): value for name, value in ROUTES.items()}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/smoke/", "-q", "-rs", "--base-url", url],
        cwd=REPOSITORY,
        env={**os.environ, **routes, "MEETINGS_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed, 1 skipped" in done.stdout
    assert _left(url) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("create", "none", "is no route"),
        ("create", "/v1/meetings", "is no route"),
        ("segment", "POST /v1/lines", "{session}"),
        ("created", "open", "no JSON object"),
        ("creat", "POST /x", "Did you mean 'create'"),
    ],
)
def test_a_key_that_cannot_be_used_is_named(key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        smoke.read(Table(Path("mina-ops.toml"), "smoke", {key: value}), {})
    assert f"smoke.{key}" in str(refused.value)
    assert said in str(refused.value)


def test_the_environment_outranks_the_table() -> None:
    table = Table(Path("mina-ops.toml"), "smoke", {"create": "POST /a"})
    found = smoke.read(table, {f"{PREFIX}CREATE": "POST /b", f"{PREFIX}SHOW": ""})
    assert (found.create, found.show) == ("POST /b", "GET /api/sessions/{session}")
