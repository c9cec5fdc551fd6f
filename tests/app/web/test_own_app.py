"""No wall of a host stands between an operator with a token and the drain or the kill switch."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, abort, redirect, request
from flask.typing import ResponseReturnValue

from mina_ops import MinaOps

TOKEN = {"Authorization": "Bearer secret"}
Wall = Callable[[], ResponseReturnValue | None]


def login_wall() -> ResponseReturnValue | None:
    return redirect("/login")


def basic_auth() -> ResponseReturnValue | None:
    given = request.authorization
    return None if given is not None and given.username == "ana" else ("Who are you?", 401)


def https_only() -> ResponseReturnValue | None:
    return redirect(request.url.replace("http:", "https:"), 301)


def maintenance() -> ResponseReturnValue | None:
    return "We are back soon.", 503


def csrf_of_another_extension() -> ResponseReturnValue | None:
    return abort(403) if request.method != "GET" else None


@pytest.fixture
def host() -> Iterator[Flask]:
    app = Flask(__name__)
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"ops": hashlib.sha256(b"secret").hexdigest()}
    app.config["MINA_OPS_DRAIN_ON_SIGTERM"] = False
    ops = MinaOps(app)
    yield app
    ops.close()


@pytest.mark.parametrize(
    "wall", [login_wall, basic_auth, https_only, maintenance, csrf_of_another_extension]
)
def test_a_good_token_passes_every_wall_of_the_host(host: Flask, wall: Wall) -> None:
    host.before_request(wall)
    client = host.test_client()
    killed = client.post("/admin/flags", json={"key": "audio", "enabled": False}, headers=TOKEN)
    assert killed.status_code == 201
    assert client.post("/admin/drain", json={}, headers=TOKEN).status_code == 202
    assert client.delete("/admin/drain", headers=TOKEN).status_code == 200
    entries = client.get("/admin/audit", headers=TOKEN).get_json()["entries"]
    assert {entry["actor"] for entry in entries} == {"token:ops"}


def test_hosts_that_are_not_trusted_may_bear_a_token(host: Flask) -> None:
    host.config["TRUSTED_HOSTS"] = ["example.com"]
    answer = host.test_client().get("/admin/flags", headers={**TOKEN, "Host": "10.0.0.1:8000"})
    assert answer.status_code == 200


def test_a_token_that_is_not_ours_meets_the_hosts_walls(host: Flask) -> None:
    host.before_request(maintenance)
    encoded = base64.b64encode(b"ana:secret").decode()
    for header in ("Bearer of-another-system", f"Basic {encoded}"):
        answer = host.test_client().post("/admin/drain", headers={"Authorization": header})
        assert answer.status_code == 503
        assert answer.text == "We are back soon."


def test_flags_of_a_caller_are_the_hosts_to_tell(host: Flask) -> None:
    host.before_request(maintenance)
    assert host.test_client().get("/api/flags", headers=TOKEN).status_code == 503


def test_a_path_of_the_host_below_ours_stays_the_hosts(host: Flask) -> None:
    host.add_url_rule("/admin/drain/plan", view_func=lambda: "the host's plan")
    assert host.test_client().get("/admin/drain/plan", headers=TOKEN).text == "the host's plan"


def test_the_hosts_own_route_at_our_path_does_not_take_our_kill_switch() -> None:
    app = Flask(__name__)
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"ops": hashlib.sha256(b"secret").hexdigest()}
    app.add_url_rule("/admin/flags", view_func=lambda: "the host's page", methods=["GET", "POST"])
    ops = MinaOps(app)
    try:
        client = app.test_client()
        assert client.post("/admin/flags").text == "the host's page"
        answer = client.post("/admin/flags", json={"key": "audio"}, headers=TOKEN)
        assert answer.status_code == 201
        assert answer.headers["X-Mina-Environment"] == "production"
    finally:
        ops.close()
