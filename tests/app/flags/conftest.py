"""Flags without a server: the parts as the extension wires them, over either store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from mina_ops import MinaOps
from mina_ops.app.admin.auth import Author
from mina_ops.app.flags import Flags
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.evaluate import Place
from mina_ops.app.state import MemoryStore, Store
from mina_ops.app.state.redis import RedisStore

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ANA = Author("user:ana", "127.0.0.1", "c-1")
PLACE = Place("blue", "v2.5.0")


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        opened: Store = MemoryStore()
    else:
        url = request.getfixturevalue("redis_url")
        opened = RedisStore.from_url(url, timeout_seconds=10.0)
    yield opened
    opened.close()


@pytest.fixture
def open_cache(store: Store) -> Callable[[], Cache]:
    """A process's view of the flags; each call is another process."""

    def make() -> Cache:
        cache = Cache(store, PLACE, file=None, stale_seconds=3.5, on_change=lambda _: None)
        cache.refresh()
        return cache

    return make


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """A host with mina_ops in it; keyword arguments are its config."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        app = Flask(__name__)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        app.config.update(
            ENVIRONMENT="blue", APP_VERSION="v2.5.0", MINA_OPS_ADMIN_TOKENS={"ci": digest}
        )
        app.config.update(config)
        MinaOps(app)
        made.append(app)
        return app

    yield make
    for app in made:
        runtime = app.extensions["mina_ops"]
        runtime.heartbeat.stop()
        runtime.store.close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def flags(app: Flask) -> Flags:
    found: Flags = app.extensions["mina_ops"].flags
    return found
