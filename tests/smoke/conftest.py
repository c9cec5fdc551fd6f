"""Smoke tests run against any address: `pytest tests/smoke/ --base-url https://...`.

`TEST_TOKEN` is the bearer token that they use there. Without an address they start a demo of
their own and end it afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.stage import Keys, app_environment, prepare_database, start_app, start_standin

REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class Target:
    """Where the app is, and the token that it takes."""

    base_url: str
    token: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--base-url",
        metavar="URL",
        help="the app to test, such as https://mina-green.example.com; default: a demo",
    )


@pytest.fixture(scope="session")
def target(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """The app under test."""
    base_url: str | None = pytestconfig.getoption("--base-url")
    if base_url is None:
        running: AbstractContextManager[Target] = own_demo(tmp_path_factory.mktemp("demo"))
    else:
        running = nullcontext(Target(base_url.rstrip("/"), token_of_environment()))
    with running as found:
        yield found


def token_of_environment() -> str:
    """The bearer token of the environment."""
    token = os.environ.get("TEST_TOKEN")
    if not token:
        pytest.exit("TEST_TOKEN is not set: the app's test token is needed.", returncode=2)
    return token


@contextmanager
def own_demo(folder: Path) -> Iterator[Target]:
    """A demo of one instance, without Redis."""
    keys = Keys()
    with start_standin(folder) as standin:
        environment = app_environment(folder, keys, standin, redis=None)
        prepare_database(folder, environment, keys)
        with start_app(folder, environment, "green") as app:
            yield Target(app.url, keys.test_token)


@pytest.fixture
def api(target: Target) -> Iterator[httpx.Client]:
    """A client that brings the test token."""
    with httpx.Client(
        base_url=target.base_url,
        headers={"Authorization": f"Bearer {target.token}"},
        timeout=REQUEST_SECONDS,
    ) as client:
        yield client


@pytest.fixture
def session_id(api: httpx.Client) -> Iterator[int]:
    """A session that is deleted afterwards."""
    # As curl's -d sends it: JSON under the form content type.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = api.post("/api/sessions", content='{"title": "Smoke Test Session"}', headers=form)
    assert answer.status_code in (200, 201), answer.text
    body = answer.json()
    try:
        assert body["status"] == "active"
        yield body["session_id"]
    finally:
        gone = api.delete(f"/api/sessions/{body['session_id']}")
    assert gone.is_success, f"session {body['session_id']} was left behind: {gone.text}"
