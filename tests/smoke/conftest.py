"""Smoke tests run against any address: `pytest tests/smoke/ --base-url https://...`.

Which routes they call there is the table `[smoke]` of mina-ops.toml, or `MINA_OPS_SMOKE_*`; the
variable that it names, `TEST_TOKEN` by default, holds the bearer token. Without an address they
start a demo of their own and end it afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mina_ops.cli.session import Session
from mina_ops.demo.stage import Keys, app_environment, prepare_database, start_app, start_standin
from mina_ops.operator.config import smoke
from mina_ops.operator.config.settings import CONFIG_VARIABLE, FILE_NAME
from mina_ops.operator.config.smoke import SmokeOptions
from mina_ops.operator.config.tables import Table

REQUEST_SECONDS = 30.0
# As it was given: the tests' own fixtures take settings of ours out of the environment.
ENVIRONMENT = pytest.StashKey[dict[str, str]]()


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


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ENVIRONMENT] = dict(os.environ)


@pytest.fixture(scope="session")
def options(pytestconfig: pytest.Config) -> SmokeOptions:
    """The app's routes."""
    environment = pytestconfig.stash[ENVIRONMENT]
    named = environment.get(CONFIG_VARIABLE)
    if named or Path(FILE_NAME).is_file():
        table = Session(named).settings.section("smoke")
    else:
        table = Table(Path(FILE_NAME), "smoke", {})
    return smoke.read(table, environment)


@pytest.fixture(scope="session")
def target(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, options: SmokeOptions
) -> Iterator[Target]:
    """The app under test."""
    base_url: str | None = pytestconfig.getoption("--base-url")
    if base_url is None:
        running: AbstractContextManager[Target] = own_demo(tmp_path_factory.mktemp("demo"))
    else:
        running = nullcontext(Target(base_url.rstrip("/"), token_from(options.token_env)))
    with running as found:
        yield found


def token_from(variable: str) -> str:
    """The bearer token of the environment."""
    token = os.environ.get(variable)
    if not token:
        pytest.exit(f"{variable} is not set: the app's test token is needed.", returncode=2)
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


class Api:
    """The app's routes, by what they do."""

    def __init__(self, client: httpx.Client, options: SmokeOptions) -> None:
        self._client = client
        self.options = options

    def ask(self, step: str, session: object = "", body: object = None) -> httpx.Response:
        """Ask a step's route; the test is skipped if the app has no such step."""
        route = self.options.route(step, session)
        if route is None:
            pytest.skip(f"the app has no step {step!r}")
        return self._client.request(*route, json=body)

    def require(self, answer: httpx.Response, key: str) -> None:
        """The answer is a success, and has in it what an option says."""
        assert answer.is_success, answer.text
        expected = self.options.json(key)
        assert not expected or answer.json().items() >= expected.items()


@pytest.fixture
def api(target: Target, options: SmokeOptions) -> Iterator[Api]:
    """A client that brings the test token."""
    with httpx.Client(
        base_url=target.base_url,
        headers={"Authorization": f"Bearer {target.token}"},
        timeout=REQUEST_SECONDS,
    ) as client:
        yield Api(client, options)


@pytest.fixture
def session_id(api: Api) -> Iterator[object]:
    """A session that is deleted afterwards."""
    answer = api.ask("create", body=api.options.json("create_body"))
    assert answer.is_success, answer.text
    session = answer.json()[api.options.session_field]
    try:
        api.require(answer, "created")
        yield session
    finally:
        if api.options.route("delete"):
            gone = api.ask("delete", session)
            assert gone.is_success, f"session {session} was left behind: {gone.text}"
