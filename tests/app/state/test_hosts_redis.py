"""Redis as people have it: users with few rights, shared databases, evicting servers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from flask import Flask

from mina_ops import MinaOps
from mina_ops.demo.processes import Server
from tests.support.hosts import REPOSITORY
from tests.support.wait import eventually

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """A host on a Redis; `make_app(url, SOME_KEY=value)`."""
    made: list[Flask] = []

    def make(url: str, **config: Any) -> Flask:
        app = Flask("host")
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        app.config.update(
            {
                "REDIS_URL": url,
                "SECRET_KEY": "one",
                "ENVIRONMENT": "blue",
                "MINA_OPS_ADMIN_TOKENS": {"ci": digest},
                "MINA_OPS_BEAT": 0.1,
                "MINA_OPS_HEALTH_INTERVAL": 0.2,
                **config,
            }
        )
        MinaOps(app)
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["mina_ops"].close()


def _flag(app: Flask, enabled: bool = True) -> int:
    body = {"key": "x", "enabled": enabled}
    return app.test_client().post("/admin/flags", json=body, headers=BEARER).status_code


def _redis_state(app: Flask) -> tuple[str, str]:
    body = app.test_client().get("/api/health/redis").json
    assert body is not None
    return body["status"], body.get("reason", "")


def _least_rights() -> list[str]:
    """The rights that docs/configuration.md tells to give."""
    page = (REPOSITORY / "docs" / "configuration.md").read_text()
    rule = page.split("ACL SETUSER mina_ops ", 1)[1].split("\n```", 1)[0]
    return rule.replace("\\\n", " ").split()


def _user(server: Server, *rights: str) -> str:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "mina_ops", "reset", *rights)
        client.execute_command("ACL", "LOG", "RESET")
    parts = urlsplit(server.url)
    return f"redis://mina_ops:a-password@{parts.hostname}:{parts.port}/0"


def _refused(server: Server) -> list[str]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        found = [f"{entry['reason']} {entry['object']}" for entry in client.acl_log()]
    # redis-py tells its name to whoever wants to know, and does not mind.
    return [entry for entry in found if not entry.startswith("command client")]


def _use_everything(app: Flask) -> None:
    client = app.test_client()
    assert _flag(app) == 201
    assert _flag(app, enabled=False) == 200
    assert client.post("/admin/flags/x/undo", headers=BEARER).status_code == 200
    assert client.get("/admin/flags/x/history", headers=BEARER).status_code == 200
    assert client.delete("/admin/flags/x", headers=BEARER).status_code in (200, 204)
    assert client.post("/admin/drain", json={}, headers=BEARER).status_code == 202
    assert client.delete("/admin/drain", headers=BEARER).status_code == 200
    assert client.get("/api/metrics/errors").status_code == 200
    actions = client.get("/admin/audit", headers=BEARER).json
    assert actions is not None
    assert "drain.begin" in {entry["action"] for entry in actions["entries"]}
    eventually(lambda: _redis_state(app)[0] == "connected")
    beats = app.extensions["mina_ops"].heartbeat.beats
    eventually(lambda: app.extensions["mina_ops"].heartbeat.beats > beats + 3)


def test_the_least_rights_that_docs_name_are_enough(make_app: MakeApp, own_redis: Server) -> None:
    url = _user(own_redis, *_least_rights())
    _use_everything(make_app(url))
    assert _refused(own_redis) == []


def test_a_user_without_channels_loses_hints_and_nothing_else(
    make_app: MakeApp, own_redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    rights = [right for right in _least_rights() if not right.startswith("&")]
    app = make_app(_user(own_redis, *rights))
    _use_everything(app)
    eventually(lambda: "lets us use no channels" in caplog.text, message="the advice")
    assert {entry.split()[0] for entry in _refused(own_redis)} == {"channel"}


def test_a_write_whose_log_is_denied_is_not_made(make_app: MakeApp, own_redis: Server) -> None:
    app = make_app(_user(own_redis, *_least_rights(), "-xadd"))
    assert _flag(app) == 503
    flags = app.test_client().get("/admin/flags", headers=BEARER).json
    assert flags is not None
    assert flags["flags"] == []


def test_two_sites_under_one_name_are_told_and_a_name_of_its_own_helps(
    make_app: MakeApp, redis_url: str
) -> None:
    production = make_app(redis_url)
    eventually(lambda: _redis_state(production)[0] == "connected")
    staging = make_app(redis_url, SECRET_KEY="another")
    staging.test_client().get("/api/health/live")  # which is what begins the process
    for app in (production, staging):
        eventually(lambda app=app: _redis_state(app)[0] == "warning", 20)
        assert "MINA_OPS_PRODUCT" in _redis_state(app)[1]


def test_two_products_share_a_database_unharmed(make_app: MakeApp, redis_url: str) -> None:
    one = make_app(redis_url, MINA_OPS_PRODUCT="one")
    two = make_app(redis_url, MINA_OPS_PRODUCT="two", SECRET_KEY="another")
    _use_everything(one)
    assert _flag(one) == 201
    for app in (one, two):
        eventually(lambda app=app: _redis_state(app)[0] == "connected")
    assert two.test_client().get("/admin/flags", headers=BEARER).json["flags"] == []  # type: ignore[index]
    assert one.test_client().post("/admin/drain", json={}, headers=BEARER).status_code == 202
    assert two.test_client().get("/admin/drain", headers=BEARER).json["state"] == "serving"  # type: ignore[index]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert {key.partition(":")[0] for key in client.scan_iter()} == {"one", "two"}


def test_a_redis_that_may_evict_our_keys_is_told(make_app: MakeApp, own_redis: Server) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    app = make_app(own_redis.url)
    eventually(lambda: _redis_state(app)[0] == "warning")
    assert "allkeys-lru" in _redis_state(app)[1]


def test_a_process_has_one_listener(make_app: MakeApp, own_redis: Server) -> None:
    app = make_app(own_redis.url)
    app.test_client().get("/api/flags")

    def listeners() -> int:
        with redis.Redis.from_url(own_redis.url) as client:
            return sum(int(entry["sub"]) > 0 for entry in client.client_list())

    eventually(lambda: listeners() == 1)
    beats = app.extensions["mina_ops"].heartbeat.beats
    eventually(lambda: app.extensions["mina_ops"].heartbeat.beats > beats + 5)
    assert listeners() == 1
