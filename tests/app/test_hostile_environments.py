"""No environment that a bare host survives stops the host because of us."""

from __future__ import annotations

import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mina_ops import MinaOps
from mina_ops.errors import ConfigurationError
from tests.support.wait import eventually

KEY = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
HOSTILE: dict[str, dict[str, str]] = {
    "a NO_PROXY that httpx cannot parse": {**KEY, "NO_PROXY": "localhost,fe80::/10"},
    "a proxy of an unknown scheme": {**KEY, "HTTPS_PROXY": "gopher://proxy", "ALL_PROXY": "x://y"},
    "a CA file that is missing": {**KEY, "SSL_CERT_FILE": "/nowhere/ca.pem"},
    "a CA folder that is missing": {**KEY, "SSL_CERT_DIR": "/nowhere"},
    "a key that is not ASCII": {**KEY, "OPENAI_API_KEY": "sk-\N{EN DASH}1"},
    "a key with a line's end": {**KEY, "OPENAI_API_KEY": "sk-1\nX: y"},
    "a base URL that is none": {**KEY, "OPENAI_BASE_URL": "http://[::1"},
    "a base URL without a scheme": {**KEY, "OPENAI_BASE_URL": "gateway/v1"},
    "a release with a dash that is not ASCII": {"APP_VERSION": "v2.5\N{EN DASH}1"},
    "a release with a line's end": {"APP_VERSION": "v2.5\r\nX-Evil: 1"},
    "an environment with blanks": {"ENVIRONMENT": "Production (EU)"},
    "an environment of nothing but signs": {"ENVIRONMENT": "\N{EN DASH}"},
    "Redis options of another client": {
        "REDIS_URL": "redis://127.0.0.1:1/0?decode_responses=True&socket_timeout=30&protocol=3"
    },
    "a Redis option that nobody knows": {"REDIS_URL": "redis://127.0.0.1:1/0?colour=blue"},
    "a Redis port that is no number": {"REDIS_URL": "redis://127.0.0.1:port/0"},
    "a Redis of another scheme": {"REDIS_URL": "redis-sentinel://127.0.0.1/mymaster"},
    "a Redis password with signs": {"REDIS_URL": "redis://:p%40ss%2Fw@127.0.0.1:1/0"},
    "a Redis name that cannot be encoded": {"REDIS_URL": "redis://" + "x" * 70 + ".de:1/0"},
    "Redis over TLS with a CA file that is missing": {
        "REDIS_URL": "rediss://127.0.0.1:1/0?ssl_ca_certs=/nowhere.pem"
    },
    "a home that is no folder": {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"},
}


def _serves(environment: dict[str, str]) -> None:
    """A host with this environment starts, and its page and our probes answer."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        app = Flask("host")
        app.add_url_rule("/", "greet", lambda: "hello")
        MinaOps(app)
    client = app.test_client()
    try:
        assert client.get("/").data == b"hello"
        assert client.get("/api/health/live").status_code == 200
        eventually(lambda: client.get("/api/health/started").status_code == 200, 15)
        assert client.get("/api/health").status_code in (200, 503)
        assert client.get("/api/flags").status_code == 200
    finally:
        app.extensions["mina_ops"].close()


@pytest.mark.parametrize("environment", HOSTILE.values(), ids=HOSTILE)
def test_a_host_starts_with(environment: dict[str, str]) -> None:
    _serves(environment)


def test_what_cannot_work_says_so() -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (KEY | {"SSL_CERT_FILE": "/nowhere/ca.pem"}).items():
            patch.setenv(name, value)
        patch.setenv("REDIS_URL", "memcached://127.0.0.1")
        app = Flask("host")
        MinaOps(app)
        client = app.test_client()
        try:
            eventually(lambda: client.get("/api/health/started").status_code == 200, 15)
            assert client.get("/api/health/openai").status_code == 503
            assert client.get("/api/health/redis").json["status"] == "disconnected"
        finally:
            app.extensions["mina_ops"].close()


@pytest.mark.parametrize("url", ["postgres://h/x", "nonsense", "http://h/x"])
def test_a_setting_of_ours_that_is_wrong_is_told_at_once(url: str) -> None:
    app = Flask("host")
    app.config["MINA_OPS_DATABASE_URL"] = url
    with pytest.raises(ConfigurationError, match="MINA_OPS_DATABASE_URL"):
        MinaOps(app)


VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)


@settings(max_examples=60)
@given(VALUES, VALUES, VALUES, VALUES)
@example("redis://[", "v\N{EN DASH}", "-", "\r\n")
def test_no_value_stops_a_host(redis: str, version: str, environment: str, key: str) -> None:
    app = Flask("host")
    app.config.update(
        REDIS_URL=redis, APP_VERSION=version, ENVIRONMENT=environment, OPENAI_API_KEY=key
    )
    MinaOps(app)
    try:
        answer = app.test_client().get("/api/health/live")
        assert answer.status_code == 200
        assert answer.headers["X-Mina-Version"].isascii()
    finally:
        app.extensions["mina_ops"].close()
