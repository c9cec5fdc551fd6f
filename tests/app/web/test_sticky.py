"""Sticky keys that the app gives where the load balancer cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from mina_ops import MinaOps

WISH = "mina_key; max-age=31536000; blue=37-100; mina-blue=37-100; green=0-37; except=/static/"

# As nginx and HAProxy read it, too.
KEPT_BY_CACHES = {
    "public": "Public, max-age=60",
    "shared": "max-age=0,s-maxage=60",
    "immutable": "max-age=60, immutable",
}


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    """A green app."""
    app = Flask(__name__)
    app.config["ENVIRONMENT"] = "green"
    MinaOps(app)
    app.add_url_rule("/", "page", lambda: "page")
    app.add_url_rule("/static/app.js", "asset", lambda: "asset")
    for name, said in KEPT_BY_CACHES.items():
        headers = {"Cache-Control": said}
        app.add_url_rule(f"/{name}", name, lambda h=headers: Response("page", headers=h))
    yield app.test_client()
    app.extensions["mina_ops"].heartbeat.stop()


def cookies(client: FlaskClient, path: str = "/", wish: str = WISH) -> list[str]:
    """The cookies that an answer sets, for a client that keeps none."""
    client.delete_cookie("mina_key")
    return client.get(path, headers={"X-Mina-Sticky": wish}).headers.getlist("Set-Cookie")


def test_a_visitor_gets_a_key_in_one_of_the_colours_buckets(client: FlaskClient) -> None:
    buckets = set()
    for _ in range(300):
        (cookie,) = cookies(client)
        found = re.fullmatch(
            r"mina_key=(\d+)\.[0-9a-f]{16}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax",
            cookie,
        )
        assert found, cookie
        buckets.add(int(found[1]))
    assert buckets <= set(range(37))
    assert len(buckets) > 20


def test_nobody_gets_a_key_who_was_not_drawn(client: FlaskClient) -> None:
    assert client.get("/").headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize("path", ["/static/app.js", *(f"/{name}" for name in KEPT_BY_CACHES)])
def test_what_caches_keep_gets_no_key(client: FlaskClient, path: str) -> None:
    assert cookies(client, path) == []


def test_over_tls_the_key_is_for_tls_alone(client: FlaskClient) -> None:
    headers = {"X-Mina-Sticky": WISH, "X-Forwarded-Proto": "https"}
    assert client.get("/", headers=headers).headers["Set-Cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    "wish",
    [
        "",
        "mina_key",
        "mina_key; max-age=60; blue=0-100",
        "mina_key; max-age=60; green=0-0",
        "mina_key; max-age=60; green=50-40",
        "mina_key; max-age=x; green=0-100",
        "mina key; max-age=60; green=0-100",
        "mina_key=1; max-age=60; green=0-100",
        "mina_key; max-age=60; green=0-100" + "x" * 2000,
        "; max-age=60; green=0-100",
    ],
)
def test_a_wish_that_cannot_be_read_sets_nothing(client: FlaskClient, wish: str) -> None:
    assert cookies(client, wish=wish) == []
