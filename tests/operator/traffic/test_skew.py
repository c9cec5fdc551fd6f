"""Pages and their files come from one release; caches and clients without cookies do well."""

from __future__ import annotations

import re

import pytest

from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns
from tests.support.wait import eventually


def share(balancer: Balancer, green: int, releases: dict[str, str] | None = None) -> None:
    balancer.driver.apply(Split({"blue": 100 - green, "green": green}, {}, releases or {}))


def test_a_file_that_one_colour_lacks_is_asked_of_the_other(
    balancer: Balancer, apps: StandIns
) -> None:
    apps.fleets["blue"].files = {"/static/lazy-1.js"}
    apps.fleets["green"].files = {"/static/lazy-2.js"}
    for percent in (0, 50, 100):
        share(balancer, percent)
        for number in range(6):
            visitor = {"User_Agent": f"browser {number}"}
            assert balancer.get("/static/lazy-1.js", **visitor).colour == "blue"
            assert balancer.get("/static/lazy-2.js", **visitor).colour == "green"
            assert balancer.get("/static/none.js", **visitor).status == 404


def test_only_files_that_are_read_are_asked_of_the_other(
    balancer: Balancer, apps: StandIns
) -> None:
    apps.fleets["green"].files = {"/static/upload"}
    assert balancer.send("POST", "/static/upload", {}, b"x").status == 404
    assert sum(one.seen["/static/upload"] for one in apps.instances["green"]) == 0


def test_a_file_that_is_missing_is_404_while_the_other_colour_is_down(
    balancer: Balancer, apps: StandIns
) -> None:
    for one in apps.instances["green"]:
        apps.stop_instance(one)
    # HAProxy learns of it from its next probes.
    eventually(lambda: balancer.get("/static/none.js").status == 404)


def test_what_caches_keep_gets_no_cookie(balancer: Balancer, apps: StandIns) -> None:
    apps.fleets["blue"].files = {"/static/app.js"}
    assert "set-cookie" not in balancer.get("/static/app.js").headers
    assert "set-cookie" not in balancer.get("/public/page").headers
    assert "set-cookie" in balancer.get("/page").headers


def test_a_client_without_cookies_stays_with_one_colour(balancer: Balancer) -> None:
    share(balancer, 50)
    seen = set()
    for number in range(20):
        agent = {"User-Agent": f"app {number}"}
        answers = [balancer.send(m, "/form", agent, None) for m in ("GET", "POST") for _ in "abc"]
        colours = {answer.colour for answer in answers}
        assert len(colours) == 1
        seen |= colours
    assert seen == {"blue", "green"}


def test_the_cookie_keeps_a_visitor_where_it_was_without_it(balancer: Balancer) -> None:
    share(balancer, 50)
    for number in range(20):
        first = balancer.get("/", User_Agent=f"browser {number}")
        key = first.headers["set-cookie"].partition(";")[0]
        assert re.fullmatch(r"mina_key=\d{1,2}\.[0-9a-f-]{32,36}", key)
        assert balancer.get("/", Cookie=key, User_Agent="another").colour == first.colour


@pytest.mark.parametrize(
    ("option", "header"),
    [('key_header = "X-Device"', "X-Device: {}"), ('key_cookie = "session"', "Cookie: session={}")],
)
def test_a_configured_key_stands_in_for_the_cookie(
    balancer: Balancer, option: str, header: str
) -> None:
    balancer.add_option(option)
    share(balancer, 50)
    seen = set()
    for number in range(20):
        name, _, value = header.format(number).partition(": ")
        colours = {balancer.send("GET", "/", {name: value}).colour for _ in range(3)}
        assert len(colours) == 1
        seen |= colours
    assert seen == {"blue", "green"}


def test_a_page_that_names_its_release_gets_it_while_that_lives(balancer: Balancer) -> None:
    share(balancer, 100, {"blue": "v1.0.0", "green": "v2.0.0"})
    assert balancer.get("/api").colour == "green"
    assert balancer.get("/api", X_Mina_Release="v1.0.0").colour == "blue"
    assert balancer.get("/api?a=1&mina_release=v1.0.0").colour == "blue"
    assert balancer.get("/api", X_Mina_Release="v2.0.0").colour == "green"
    for unknown in ("v0.9.0", "../v1.0.0", "", "v1.0.0/"):
        assert balancer.get("/api", X_Mina_Release=unknown).colour == "green"
    assert balancer.driver.read().split.releases == {"blue": "v1.0.0", "green": "v2.0.0"}
    share(balancer, 100, {"green": "v2.0.0"})
    assert balancer.get("/api", X_Mina_Release="v1.0.0").colour == "green"
