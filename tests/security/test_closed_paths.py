"""Paths that a balancer keeps from the outside stay closed, however they are written."""

from __future__ import annotations

import re

import pytest

from mina_ops.operator.doctor import balancer
from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps
from tests.security.conftest import CLOSED
from tests.security.host import TOKEN
from tests.security.raw import get, path_spellings
from tests.support.wait import eventually

BEARER = f"Authorization: Bearer {TOKEN}"
BELOW = ("", "/drain", "/flags", "/audit", "/openapi.json", "/data", "/act", "/session", "/x/y")
# What the app would take for one of ours: exactly these, and, as a browser is sent on from double
# slashes, these with more of them.
OURS = re.compile(r"/+(metrics|admin|mina-ops)([/.]|$)")


def spellings() -> list[str]:
    return [text for path in CLOSED for below in BELOW for text in path_spellings(path + below)]


def test_no_spelling_of_a_closed_path_reaches_the_app(
    closed_site: Balancer, hostile_apps: RealApps
) -> None:
    blue = hostile_apps.servers["blue"]
    get(blue.port, "/seen")
    every = spellings()
    assert len(every) > 1_000
    for target in every:
        reply = get(closed_site.port, target, BEARER)
        assert reply.status < 500, target
    seen = get(blue.port, "/seen").body.decode("latin-1").split("\n")
    assert [path for path in seen if OURS.match(path)] == []
    assert len(seen) > 10, "all were refused, so nothing was compared"


@pytest.mark.parametrize("path", CLOSED)
def test_outside_there_is_nothing_there_and_the_rest_is_served(
    closed_site: Balancer, path: str
) -> None:
    reply = get(closed_site.port, f"{path}/", BEARER)
    assert (reply.status, "x-mina-environment" in reply.headers) == (404, False)
    # A header makes nobody an insider.
    for header in (
        "X-Forwarded-For: 192.0.2.1",
        "X-Real-IP: 192.0.2.1",
        "Forwarded: for=192.0.2.1",
    ):
        assert get(closed_site.port, f"{path}/", BEARER, header).status == 404
    for served in ("/api/health", "/api/flags", "/api/metrics/errors", "/echo"):
        assert get(closed_site.port, served).status == 200, served
    assert get(closed_site.port, f"{path}x").status == 404, "a page that the host may have"


def test_without_the_setting_they_are_open(open_site: Balancer) -> None:
    for path in ("/metrics", "/admin/drain", "/mina-ops/"):
        reply = get(open_site.port, path, BEARER)
        assert (reply.status, reply.headers["x-mina-environment"]) == (200, "blue")


def _warned(site: Balancer) -> str:
    found = list(balancer.examine(site.settings()))
    return " ".join(one.text for one in found if one.state == "warning")


def test_the_doctor_tells_what_is_open(closed_site: Balancer) -> None:
    assert "/api/metrics/errors can be reached" in _warned(closed_site)
    assert not any(path in _warned(closed_site) for path in CLOSED[1:])


def test_the_doctor_tells_that_all_is_open_by_default(open_site: Balancer) -> None:
    assert ", ".join(balancer.INSIDE) in _warned(open_site)


def test_insiders_reach_them(closed_site: Balancer) -> None:
    text = closed_site.toml.read_text().replace("192.0.2.0/24", "127.0.0.0/8")
    closed_site.toml.write_text(text)
    closed_site.add_option("read_timeout_seconds = 59")
    for path in ("/metrics", "/admin/drain", "/mina-ops/"):
        found = eventually(lambda path=path: get(closed_site.port, path, BEARER), 10)
        assert (found.status, found.headers["x-mina-environment"]) == (200, "blue")
