"""A pytest plugin for the tests of a host: `pytest_plugins = ["mina_ops.testing"]` in conftest.py.

It works beside pytest-flask: where the host has that one's fixture `app`, ours use it too.

    def test_replay(mina_flags, client):
        with mina_flags(audio_replay=True):
            assert client.get("/replay").status_code == 200

    def test_drain(mina_admin):
        assert mina_admin.post("/admin/drain", json={}).status_code == 202
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mina_ops.app.runtime import Runtime

Override = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def mina_ops_runtime(app: Flask) -> Iterator[Runtime]:
    """All of mina_ops for the fixture `app`, which is closed after the test.

    Closing ends every thread and connection that mina_ops started for it, so a suite that makes
    an app for each test leaves none behind.
    """
    runtime: Runtime = app.extensions["mina_ops"]
    yield runtime
    runtime.close()


@pytest.fixture
def mina_flags(mina_ops_runtime: Runtime) -> Override:
    """`with mina_flags(audio_replay=True):` these flags answer so inside of it, everywhere."""
    return mina_ops_runtime.flags.override


@pytest.fixture
def mina_admin(app: Flask, mina_ops_runtime: Runtime) -> FlaskClient:
    """A test client whose requests bear an admin's token that holds for this app alone."""
    token = secrets.token_urlsafe(16)
    mina_ops_runtime.context.guard.admit("test", hashlib.sha256(token.encode()).hexdigest())
    client: Any = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    found: FlaskClient = client
    return found
