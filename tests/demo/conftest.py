"""A demo app in this process, with its database, its users and a language model of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from mina_ops.demo.app import create_app
from mina_ops.demo.models import db
from mina_ops.demo.openai_standin import OpenAIStandIn
from mina_ops.demo.seed import seed

TEST_TOKEN = "smoke-token"
PASSWORDS = {"admin": "admin-password", "mina": "mina-password"}


@pytest.fixture
def standin() -> Iterator[OpenAIStandIn]:
    """A language model over HTTP that a test can make misbehave."""
    with OpenAIStandIn() as service:
        yield service


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema and the users; copy it, do not use it."""
    path = tmp_path_factory.mktemp("database") / "mina.db"
    app = create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}"})
    with app.app_context():
        upgrade()
        seed(PASSWORDS)
        db.engine.dispose()
    app.extensions["mina_ops"].heartbeat.stop()
    return path


@pytest.fixture
def make_app(
    tmp_path: Path, database: Path, standin: OpenAIStandIn
) -> Iterator[Callable[..., Flask]]:
    """Makes demo apps, all with the same database."""
    made: list[Flask] = []
    shutil.copy(database, tmp_path / "mina.db")

    def make(**overrides: Any) -> Flask:
        config = {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'mina.db'}",
            "TEST_TOKEN": TEST_TOKEN,
            "SECRET_KEY": "the same for both colours",
            "OPENAI_BASE_URL": standin.base_url,
            "TESTING": True,
        }
        made.append(create_app({**config, **overrides}))
        return made[-1]

    yield make
    for app in made:
        app.extensions["mina_ops"].heartbeat.stop()
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """A demo app."""
    return make_app()


@pytest.fixture
def bearer(app: Flask) -> FlaskClient:
    """A client that brings the test token, as the smoke tests do."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TEST_TOKEN}"
    return client
