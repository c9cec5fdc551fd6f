"""Copies of visitors' requests for a colour without visitors; on every load balancer that can."""

from __future__ import annotations

import http.client
import time

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.traffic.mirror import Mirror
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns
from tests.operator.traffic.test_contract import HANDSHAKE, green
from tests.operator.traffic.test_passing_on import UPGRADE, WEBSOCKET
from tests.support.wait import eventually

_AS_BLUE_GOT_IT = ("host", "cookie", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def mirrored(percent: int = 100, seconds: int = 60) -> Split:
    return green(0).mirrored(Mirror("green", percent, seconds))


def copies(apps: StandIns) -> dict[str, dict[str, str]]:
    """What green got from visitors: method and target -> headers."""
    return {
        target: headers
        for one in apps.instances["green"]
        for target, headers in one.heard.items()
        if not target.startswith(("GET /api/health", "GET /admin"))
    }


def until_copied(balancer: Balancer, apps: StandIns, path: str) -> None:
    """Ask for a path once, and wait until green has it: what came before has arrived, too."""
    assert balancer.get(path).colour == "blue"
    eventually(lambda: f"GET {path}" in copies(apps), 15)


def test_gets_are_copied_and_nobody_sees_an_answer_of_the_other_colour(
    balancer: Balancer, apps: StandIns
) -> None:
    applied = balancer.driver.apply(mirrored())
    assert applied.after.split == balancer.driver.read().split == mirrored()
    paths = [f"/page/{number}%2fx?q=%C3%A4&n={number}" for number in range(10)]
    said = {"Cookie": "mina_key=visitor-1; session=s", "Host": "mina.example"}
    answers = [balancer.send("GET", path, said) for path in paths]
    assert {(answer.status, answer.colour) for answer in answers} == {(200, "blue")}
    assert balancer.send("HEAD", "/head", said).status == 200
    wanted = {*(f"GET {path}" for path in paths), "HEAD /head"}
    eventually(lambda: wanted <= set(copies(apps)), 15, f"{wanted - set(copies(apps))}")
    for path, answer in zip(paths, answers, strict=True):
        copy, original = copies(apps)[f"GET {path}"], answer.body["headers"]
        assert {n: copy[n] for n in _AS_BLUE_GOT_IT} == {n: original[n] for n in _AS_BLUE_GOT_IT}
        assert copy["x-request-id"] == answer.headers["x-request-id"]
        assert copy["x-mina-shadow"] == "1"
        assert "x-mina-shadow" not in original
        assert not {name for name in copy if name.startswith("x-envoy")} - set(original)


def test_what_may_change_something_and_what_is_ours_is_never_copied(
    balancer: Balancer, apps: StandIns
) -> None:
    balancer.driver.apply(mirrored())
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        balancer.send(method, f"/{method}", {}, b"x=1")
    balancer.send("GET", "/with-a-body", {}, b"x=1")
    balancer.send("GET", WEBSOCKET, UPGRADE)
    balancer.send("GET", "/upgrade", {"Connection": "Upgrade", "Upgrade": "tunnel"})
    sid = balancer.get(HANDSHAKE).body["sid"]
    balancer.get(f"{HANDSHAKE}&sid={sid}")
    ours = ("/admin/flags", "/%61dmin/drain", "//admin", "/mina-ops/", "/metrics", "/api/metrics/x")
    for path in (*ours, "/api/flags", "/api/health/ready?of=ours"):
        balancer.get(path)
    balancer.get("/told", X_Mina_Shadow="1")
    assert all("x-mina-shadow" not in one.heard.get("GET /told", {}) for one in apps.all()[:2])
    until_copied(balancer, apps, "/last")
    assert set(copies(apps)) == {"GET /told", "GET /last"}
    assert all("?of=ours" not in path for one in apps.instances["green"] for path in one.heard)


def test_a_share_of_the_gets_is_copied(balancer: Balancer, apps: StandIns) -> None:
    balancer.driver.apply(mirrored(30))
    assert balancer.driver.read().split == mirrored(30)
    for number in range(200):
        balancer.get(f"/page/{number}")
    balancer.driver.apply(mirrored(100))
    until_copied(balancer, apps, "/last")
    assert 25 <= len(copies(apps)) <= 105


def test_paths_that_the_site_names_are_not_copied(balancer: Balancer, apps: StandIns) -> None:
    balancer.add_option('mirror_paths = ["/api", "/page/"]\nunmirrored_paths = ["/api/logout"]')
    balancer.driver.apply(mirrored())
    eventually(lambda: all(_is_new(balancer, apps, n) for n in range(8)), 30)
    for one in apps.all():
        one.heard.clear()
    paths = ("/", "/apis", "/api/logout", "/api/logout/now", "/api/%6cogout?x=1", "/api/logouts")
    for path in (*paths, "/page/1", "/api"):
        balancer.get(path)
    until_copied(balancer, apps, "/api/last")
    found = set(copies(apps)) - {"GET /api/last"}
    assert found == {"GET /api/logouts", "GET /page/1", "GET /api"}


def _is_new(balancer: Balancer, apps: StandIns, number: int) -> bool:
    """Whether what took this request knows the new paths; an old worker may take a last one."""
    for one in apps.all():
        one.heard.clear()
    balancer.get(f"/old/{number}")
    until_copied(balancer, apps, f"/api/{number}")
    return f"GET /old/{number}" not in copies(apps)


def test_nobody_waits_for_the_colour_that_gets_the_copies(
    balancer: Balancer, apps: StandIns
) -> None:
    for one in apps.instances["green"]:
        one.silent = True
    balancer.driver.apply(mirrored())
    began = time.monotonic()
    # One connection: the second request of a visitor must not wait for the first one's copy.
    link = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=30)
    for number in range(3):
        link.request("GET", f"/page/{number}")
        assert link.getresponse().read()
    link.close()
    # However many hang, and they are bounded.
    assert {balancer.get(f"/more/{number}").status for number in range(60)} == {200}
    assert time.monotonic() - began < 25, "as long as the colour, which is silent for 60 s"
    eventually(lambda: copies(apps), 15)
    assert len(copies(apps)) <= 40
    apps.cut()


def test_a_colour_that_is_down_fails_no_request_that_is_copied(
    balancer: Balancer, apps: StandIns
) -> None:
    for one in apps.instances["green"]:
        apps.stop_instance(one)
    balancer.driver.apply(mirrored())
    assert {balancer.get(f"/page/{number}").status for number in range(20)} == {200}
    apps.stop_instance(apps.instances["blue"][0])
    answers = [balancer.get(f"/page/{number}") for number in range(20)]
    assert {(a.status, a.body["instance"]) for a in answers} == {(200, "1")}
    assert all("x-mina-shadow" not in answer.body["headers"] for answer in answers)


def test_whoever_moves_traffic_ends_the_mirror(balancer: Balancer, apps: StandIns) -> None:
    driver = balancer.driver
    driver.apply(mirrored())
    until_copied(balancer, apps, "/first")
    driver.apply(driver.read().split.giving("blue", 100))
    assert driver.read().split == green(0)
    balancer.get("/not-copied")
    driver.apply(mirrored())
    until_copied(balancer, apps, "/last")
    assert "GET /not-copied" not in copies(apps)
    driver.apply(driver.read().split.with_cohort(["7"], "green"))
    assert driver.read().split == green(0, **{"7": "green"})
    assert driver.check() == []


def test_a_mirror_that_nobody_renews_ends_by_itself(balancer: Balancer, apps: StandIns) -> None:
    balancer.driver.apply(mirrored(seconds=1))
    eventually(lambda: balancer.driver.read().split == green(0), 10)
    assert balancer.driver.check() == []
    balancer.get("/not-copied")
    balancer.driver.apply(mirrored())
    until_copied(balancer, apps, "/last")
    assert set(copies(apps)) == {"GET /last"}


def test_a_file_that_is_copied_gets_no_cookie(balancer: Balancer, apps: StandIns) -> None:
    apps.fleets["blue"].files.add("/static/app.js")
    balancer.driver.apply(mirrored())
    answer = balancer.get("/static/app.js")
    assert (answer.status, answer.colour, "set-cookie" in answer.headers) == (200, "blue", False)
    assert balancer.get("/static/missing.js").status == 404
    eventually(lambda: "GET /static/app.js" in copies(apps), 15)
    assert "set-cookie" in balancer.get("/page").headers


@pytest.mark.parametrize(("percent", "seconds"), [(0, 60), (101, 60), (True, 60), (50, 0)])
def test_a_mirror_of_nothing_or_for_ever_is_refused(percent: int, seconds: int) -> None:
    with pytest.raises(ConfigurationError, match="of a mirror"):
        Mirror("green", percent, seconds)


def test_nothing_is_mirrored_to_a_colour_that_has_visitors() -> None:
    for split in (green(1), green(0, **{"7": "green"}), Split.all_to("green", ["blue", "green"])):
        with pytest.raises(ConfigurationError, match="green has visitors"):
            split.mirrored(Mirror("green"))
    with pytest.raises(ConfigurationError, match="No colour 'red'"):
        green(0).mirrored(Mirror("red"))


def test_a_mirror_is_a_part_of_the_split_until_traffic_moves() -> None:
    split = mirrored(50)
    assert Split.from_json(split.to_json()) == split
    assert split.describe() == "blue 100 %, green 0 %, 50 % of GETs mirrored to green"
    assert split.giving("green", 10) == green(10)
    assert split.with_cohort(["7"], "green").mirror is None
    assert split.mirrored(None) == green(0)
