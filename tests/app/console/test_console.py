"""The console's endpoints over two real colours and a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from itsdangerous import URLSafeTimedSerializer

from mina_ops.app.console.releases import SILENT_SECONDS, with_age
from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_redis
from tests.app.console import site as sites
from tests.app.console.site import READER, TOKEN, Site
from tests.support.hosts import Hosts, running_hosts
from tests.support.needs import need
from tests.support.wait import eventually


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for the tests that leave it as they found it."""
    need(programs.redis_server)
    folder = tmp_path_factory.mktemp("console")
    with start_redis(folder / "redis") as store, contextmanager(running_hosts)(folder) as hosts:
        yield sites.start(hosts, store.url)


@pytest.fixture
def site(shared: Site) -> Site:
    both_heard(shared)
    return shared


def both_heard(site: Site) -> dict[str, object]:
    def heard() -> dict[str, object] | None:
        data = site.data()
        return data if all(data["colours"][c]["ready"] for c in ("blue", "green")) else None

    return eventually(heard, 10, "both colours are ready")  # type: ignore[return-value]


def test_either_colour_shows_both(site: Site) -> None:
    both_heard(site)
    for colour in ("blue", "green"):
        shown = eventually(
            lambda c=colour: (  # type: ignore[misc]
                (d := site.data(c))["colours"]["green"]["ready"] and d
            ),
            10,
        )
        assert shown["order"] == ["blue", "green"]
        assert shown["served_by"]["environment"] == colour
        assert shown["colours"]["blue"]["versions"] == ["v2.4.5"]
        assert shown["colours"]["green"]["versions"] == ["v2.5.0"]
        assert shown["colours"]["blue"]["health"] in ("healthy", "degraded")
        assert shown["verdict"] == []


def test_figures_are_what_was_served_and_missing_ones_say_why(site: Site) -> None:
    for _ in range(30):
        httpx.get(site.blue.url)

    def counted() -> dict[str, object] | None:
        colours = site.data()["colours"]
        return colours if colours["blue"]["figures"]["error_rate"]["samples"] >= 30 else None

    colours = eventually(counted, 10, "blue's requests are counted")
    blue, green = colours["blue"], colours["green"]  # type: ignore[index]
    assert blue["figures"]["error_rate"] == {"value": 0.0, "samples": 30, "why": None}
    assert blue["share"]["seen"] == 100.0
    assert green["figures"]["p95_ms"]["why"] == "no request yet"
    assert green["figures"]["p95_ms"]["value"] is None


def test_a_drain_of_the_other_colour_is_ordered_shown_recorded_and_taken_back(site: Site) -> None:
    both_heard(site)
    done = site.act(act="drain", colour="green")
    assert (done.status_code, done.json().get("new")) == (200, True), done.text
    eventually(
        lambda: site.data()["colours"]["green"]["drain"]["state"] == "drained", 10, "it drains"
    )
    status = httpx.get(f"{site.green.url}/api/health/ready")
    assert status.status_code == 503
    newest = site.data()["changes"][0]
    assert (newest["actor"], newest["text"]) == ("token:ops", "drain of green begun")
    assert site.act(act="drain", colour="blue").status_code == 409
    assert site.act(act="cancel-drain", colour="green").json() == {"cancelled": True}
    eventually(
        lambda: site.data()["colours"]["green"]["drain"]["state"] == "serving", 10, "it serves"
    )
    both_heard(site)


def test_a_flag_is_turned_rolled_and_says_who_did(site: Site) -> None:
    admin = {"Authorization": f"Bearer {TOKEN}"}
    made = {"key": "new_editor", "enabled": True}
    assert httpx.post(f"{site.blue.url}/admin/flags", json=made, headers=admin).is_success
    assert site.act(act="roll-flag", key="new_editor", rollout_percent=25).is_success
    off = site.act(act="turn-flag", key="new_editor", enabled=False)
    assert off.json()["confirmed"] is True
    flag = eventually(lambda: next((f for f in site.data()["flags"] if f["changed_by"]), None), 10)
    assert flag["changed_by"] == "token:ops"
    assert (flag["enabled"], flag["rollout_percent"]) == (False, 25)
    texts = [change["text"] for change in site.data()["changes"]]
    assert texts[:3] == [
        "flag new_editor: off",
        "flag new_editor: on, 25 %",
        "flag new_editor: on",
    ]
    assert site.act(act="turn-flag", key="unknown", enabled=True).status_code == 404
    assert site.act(act="roll-flag", key="new_editor", rollout_percent=101).status_code == 400


def report(site: Site, **more: object) -> httpx.Response:
    body = {"version": "v2.5.0", "from": "blue", "to": "green", "phase": "switch"}
    return httpx.put(
        f"{site.green.url}/admin/releases/20261129-120000-v2.5.0",
        json={**body, "percent": 25, "ended": False, **more},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )


def test_an_order_reaches_the_controller_with_its_next_report(site: Site) -> None:
    assert site.act(act="abort").json()["detail"] == "No release is running."
    verdict = {"trigger": "p95", "verdict": "no_data", "reason": "412 of 640 samples"}
    assert report(site, who="ops", verdicts=[verdict]).json()["requests"] == []

    def shown() -> dict[str, object] | None:
        data = site.data()
        return data if data["release"] and data["colours"]["green"]["share"]["given"] else None

    data = eventually(shown, 10, "the release is shown")
    release = data["release"]
    assert (release["phase"], release["alive"], release["percent"]) == ("switch", True, 25)
    assert release["waits_for"] == "412 of 640 samples"
    assert [p["state"] for p in release["phases"]] == ["done"] * 7 + ["now"] + ["waiting"] * 2
    assert data["colours"]["green"]["share"]["given"] == 25
    assert site.act(act="abort").is_success
    eventually(
        lambda: [o["taken"] for o in site.data()["release"]["orders"]] == [False],
        10,
        "the page shows that nobody took it yet",
    )
    (order,) = report(site).json()["requests"]
    assert (order["kind"], order["who"]) == ("abort", "token:ops")
    eventually(
        lambda: [o["taken"] for o in site.data()["release"]["orders"]] == [True],
        10,
        "the page shows that it was taken",
    )
    texts = [change["text"] for change in site.data()["changes"]]
    assert "abort asked of release 20261129-120000-v2.5.0" in texts
    assert "traffic: blue 100 to 75 %, green 0 to 25 %" in texts
    assert report(site, ended=True).is_success


def test_a_controller_that_falls_silent_is_told() -> None:
    silent = with_age({"heard_at": 100.0, "ended": False}, 100.0 + SILENT_SECONDS)
    assert (silent["alive"], silent["heard_seconds"]) == (False, SILENT_SECONDS)
    assert with_age({"heard_at": 100.0, "ended": True}, 900.0)["alive"] is True


def test_releases_are_frozen_from_the_page_and_a_reason_is_needed(site: Site) -> None:
    assert site.act(act="freeze").json()["field"] == "reason"
    assert site.act(act="freeze", reason="a migration failed").is_success
    frozen = eventually(lambda: site.data("green")["freeze"], 10, "green shows the freeze")
    assert (frozen["by"], frozen["reason"]) == ("token:ops", "a migration failed")
    assert site.act(token=READER, act="unfreeze").status_code == 403
    assert site.act(act="unfreeze").json() == {"lifted": True}
    eventually(lambda: site.data("green")["freeze"] is None, 10, "it is lifted")
    texts = [change["text"] for change in site.data()["changes"]]
    assert texts[:2] == ["freeze of releases lifted", "releases frozen: a migration failed"]


def test_a_page_of_the_host_at_a_path_of_ours_is_told(start_host: Hosts, redis_url: str) -> None:
    site = sites.start(start_host, redis_url, CLASHES="1")

    def told() -> list[dict[str, str]]:
        return [one for one in site.data()["verdict"] if "blue and green: /api/" in one["text"]]

    (clash,) = eventually(told, 10, "the clash of both is told")
    assert (clash["level"], "the host's health" in clash["text"]) == ("warning", True)


def test_unknown_acts_and_colours_are_refused_by_name(site: Site) -> None:
    assert site.act(act="delete-everything").json()["field"] == "act"
    assert site.act(act="drain", colour="red").json()["field"] == "colour"


def test_nobody_without_a_token_sees_any_data(site: Site) -> None:
    assert site.ask(token=None).status_code == 401
    assert site.ask(token="mina_wrong").status_code == 401
    page = site.ask("", token=None)
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    script = site.ask("static/main.js", token=None)
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert site.ask("static/../component.py", token=None).status_code == 404


def test_a_reader_sees_and_may_do_nothing(site: Site) -> None:
    data = site.ask(token=READER).json()
    assert data["viewer"]["may_act"] is False
    refused = site.act(token=READER, act="drain", colour="green")
    assert refused.status_code == 403
    assert refused.json()["detail"] == "This token may not do that: its scope is read."
    bearer = {"Authorization": f"Bearer {READER}"}
    assert httpx.post(f"{site.blue.url}/admin/drain", headers=bearer).status_code == 403
    assert httpx.get(f"{site.blue.url}/admin/drain", headers=bearer).status_code == 200


def test_a_token_becomes_a_short_session_that_both_colours_take(site: Site) -> None:
    origin = {"Origin": site.blue.url}
    with httpx.Client(base_url=f"{site.blue.url}/mina-ops/") as client:
        assert client.post("session", json={"token": "wrong"}, headers=origin).status_code == 401
        entered = client.post("session", json={"token": TOKEN}, headers=origin)
        cookie = entered.headers["Set-Cookie"]
        for part in ("HttpOnly", "SameSite=Strict", "Path=/mina-ops/", "Max-Age=900"):
            assert part in cookie
        assert TOKEN not in cookie
        assert client.get("data").json()["viewer"] == {
            "name": "token:ops",
            "may_act": True,
            "why_not": None,
            "can_leave": True,
        }
        value = client.cookies["mina_console"]
        green = httpx.get(f"{site.green.url}/mina-ops/data", cookies={"mina_console": value})
        assert green.status_code == 200
        assert client.delete("session").status_code == 204
        assert client.get("data").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_another_site_can_do_nothing_with_the_session(site: Site, headers: dict[str, str]) -> None:
    with httpx.Client(base_url=f"{site.blue.url}/mina-ops/") as client:
        client.post("session", json={"token": TOKEN}, headers={"Origin": site.blue.url})
        act = b'{"act": "drain", "colour": "green"}'
        sent = {"Content-Type": "application/json", **headers}
        assert client.post("act", content=act, headers=sent).status_code in (400, 403)
    assert site.data()["colours"]["green"]["drain"]["state"] == "serving"


def test_a_forged_or_foreign_session_is_nobody(site: Site) -> None:
    payload = {"actor": "token:ops", "mark": "", "begun": 0}
    for forged in (
        URLSafeTimedSerializer("guess", salt="mina-ops-console").dumps(payload),
        "x.y.z",
        "",
    ):
        url = f"{site.blue.url}/mina-ops/data"
        answer = httpx.get(url, headers={"Cookie": f"mina_console={forged}"})
        assert answer.status_code == 401


def test_the_hosts_walls_do_not_stand_before_it(start_host: Hosts, redis_url: str) -> None:
    site = sites.start(start_host, redis_url, WALL="1")
    assert httpx.get(site.blue.url).status_code == 401
    both_heard(site)
    assert site.act(act="drain", colour="green").is_success


def test_without_redis_it_says_how_old_it_is_and_comes_back(
    start_host: Hosts, own_redis: Server
) -> None:
    site = sites.start(start_host, own_redis.url)
    both_heard(site)
    own_redis.pause()

    def old() -> dict[str, object] | None:
        data = site.data()
        both = data["store"]["away"] and data["colours"]["green"]["stale"]
        return data if both and data["changes_stale"] else None

    data = eventually(old, 20, "the page says that Redis is away")
    assert data["verdict"][0]["level"] == "alarm"  # type: ignore[index]
    assert "old: Redis does not answer" in data["verdict"][0]["text"]  # type: ignore[index]
    assert site.act(act="drain", colour="green").status_code == 503
    own_redis.resume()
    eventually(lambda: site.data()["verdict"] == [], 20, "all is well again")


def test_a_colour_that_was_killed_is_gone_within_seconds(start_host: Hosts, redis_url: str) -> None:
    site = sites.start(start_host, redis_url)
    both_heard(site)
    site.green.kill()
    gone = eventually(
        lambda: (c := site.data()["colours"]["green"])["instances"] == 0 and c, 15, "it is gone"
    )
    assert gone["health"] == "gone"


@pytest.mark.parametrize("worker", ["gevent", "eventlet"])
def test_it_works_under_green_workers(start_host: Hosts, redis_url: str, worker: str) -> None:
    site = sites.start(start_host, redis_url, worker)
    both_heard(site)
    assert site.act(act="drain", colour="green").is_success


def test_a_page_that_was_not_changed_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    first = site.ask("static/main.js", token=None)
    url = f"{site.blue.url}/mina-ops/static/main.js"
    again = httpx.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
