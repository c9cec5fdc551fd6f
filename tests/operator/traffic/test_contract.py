"""What every driver promises, on real load balancers."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from mina_ops.errors import TrafficError
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer, sid_of, tag_of
from tests.operator.stand_in import StandIns
from tests.operator.traffic.conftest import NOT_ASKED
from tests.support.wait import eventually

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


def green(percent: int, **cohorts: str) -> Split:
    return Split({"blue": 100 - percent, "green": percent}, cohorts)


def test_what_is_not_asked_of_an_engine_is_a_row_of_this_contract() -> None:
    text = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    for rows in NOT_ASKED.values():
        assert [name for name in rows if f"def {name}(" not in text] == []


def test_a_fresh_one_is_ready_and_sends_everybody_to_the_first_colour(balancer: Balancer) -> None:
    assert balancer.driver.check() == []
    assert balancer.driver.read().split == green(0)
    assert balancer.shares(40) == {"blue": 40, "green": 0}


def test_growing_a_share_moves_nobody_back(balancer: Balancer) -> None:
    keys = [balancer.key(number) for number in range(200)]
    on_green: set[str] = set()
    for percent in (10, 25, 50, 100):
        balancer.driver.apply(green(percent))
        now = {key for key in keys if balancer.get("/", Cookie=key).colour == "green"}
        assert on_green <= now
        assert percent / 100 * 200 * 0.4 <= len(now) <= min(200, percent / 100 * 200 * 1.8 + 5)
        on_green = now
    assert len(on_green) == 200
    balancer.driver.apply(green(25))
    assert balancer.shares(40)["blue"] > 0


def test_what_was_applied_is_what_is_read(balancer: Balancer) -> None:
    applied = balancer.driver.apply(green(37, **{"12345": "green", "a@b.example": "blue"}))
    reading = balancer.driver.read()
    assert reading.split == green(37, **{"12345": "green", "a@b.example": "blue"})
    assert (applied.before, applied.after) == (green(0), reading)


def test_applying_the_same_twice_changes_nothing(balancer: Balancer) -> None:
    first = balancer.driver.apply(green(20)).after
    assert balancer.driver.apply(green(20)).after == first
    assert balancer.driver.apply(green(30)).after.generation > first.generation


def test_users_by_name_get_their_colour_whatever_the_shares(balancer: Balancer) -> None:
    balancer.driver.apply(green(0, **{"12345": "green"}))
    assert balancer.get("/", X_User_ID="12345").colour == "green"
    assert balancer.get("/", X_User_ID="1234").colour == "blue"
    balancer.driver.apply(green(100, **{"12345": "blue"}))
    assert balancer.get("/", X_User_ID="12345").colour == "blue"
    assert balancer.get("/", X_User_ID="1234").colour == "green"


def test_a_hostile_user_id_is_nobody(balancer: Balancer) -> None:
    balancer.driver.apply(green(0, **{"12345": "green"}))
    for user in ("../green/12345", "..", "", "12345/", "12345%00", "x" * 4000, "12345;"):
        assert balancer.get("/", X_User_ID=user).colour == "blue", user
    # Blanks around a header's value are no part of it.
    assert balancer.get("/", X_User_ID="12345 ").colour == "green"


def test_a_session_stays_with_its_instance_through_a_switch(
    balancer: Balancer, apps: StandIns
) -> None:
    sids = [sid_of(balancer.get(HANDSHAKE)) for _ in range(30)]
    assert {tag_of(sid) for sid in sids} == {"blue.0", "blue.1"}
    balancer.driver.apply(green(100))
    for sid in sids:
        for method in ("GET", "POST"):
            answer = balancer.send(method, f"{HANDSHAKE}&sid={sid}", {}, None)
            assert (answer.status, answer.body["sid"]) == (200, sid)
        assert balancer.get(f"{HANDSHAKE}&sid={sid.replace('~', '%7E')}").status == 200
    assert tag_of(sid_of(balancer.get(HANDSHAKE))).startswith("green.")


def test_a_session_of_a_colour_that_drains_is_not_passed_on(
    balancer: Balancer, apps: StandIns
) -> None:
    sid = sid_of(balancer.get(HANDSHAKE))
    apps.fleets["blue"].drain = {"state": "draining"}
    assert balancer.get(f"{HANDSHAKE}&sid={sid}").body["sid"] == sid


def test_every_refused_handshake_is_passed_on_to_the_other_colour(
    balancer: Balancer, apps: StandIns
) -> None:
    def takers() -> set[str]:
        return {tag_of(sid_of(balancer.get(HANDSHAKE))) for _ in range(30)}

    apps.fleets["blue"].refusing = "draining"
    assert takers() == {"green.0", "green.1"}
    refused = sum(one.seen["/socket.io/"] for one in apps.instances["blue"])
    assert refused >= 30, "not every one was refused, so not every one was passed on"
    apps.fleets["blue"].drain = {"state": "draining"}
    assert takers() == {"green.0", "green.1"}
    assert balancer.driver.read().split == green(0)
    assert balancer.get("/").colour == "blue"


def test_a_refused_websocket_is_passed_on_to_the_other_colour(
    balancer: Balancer, apps: StandIns
) -> None:
    apps.fleets["blue"].refusing = "draining"
    with _tunnel(balancer) as link:
        assert _exchange(link, b"one") == b"one"
    assert sum(one.seen["/socket.io/"] for one in apps.instances["blue"]) >= 1
    assert sum(one.seen["/socket.io/"] for one in apps.instances["green"]) == 1


def test_a_websocket_lives_through_a_switch(balancer: Balancer, apps: StandIns) -> None:
    with _tunnel(balancer) as link:
        assert _exchange(link, b"one") == b"one"
        balancer.driver.apply(green(100))
        assert _exchange(link, b"two") == b"two"
    with _tunnel(balancer) as link:
        assert _exchange(link, b"three") == b"three"
    assert apps.instances["green"][0].seen or apps.instances["green"][1].seen


def _tunnel(balancer: Balancer) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", balancer.port), timeout=30)
    link.sendall(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: mina.example\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while not head.partition(b"\r\n\r\n")[2].endswith(b"\n"):
        data = link.recv(4096)
        assert data, head
        head += data
    assert b" 101 " in head
    return link


def _exchange(link: socket.socket, data: bytes) -> bytes:
    link.sendall(data)
    return link.recv(len(data))


def test_no_request_fails_while_traffic_switches(balancer: Balancer) -> None:
    failed: list[int] = []
    sent = 0
    switching = threading.Event()

    def load() -> None:
        nonlocal sent
        while not switching.is_set():
            for method in ("GET", "POST"):
                answer = balancer.send(method, "/", {}, b"x" if method == "POST" else None)
                sent += 1
                if answer.status != 200:
                    failed.append(answer.status)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(12):
            balancer.driver.apply(green(100 if number % 2 else 0))
            eventually(lambda number=number: sent > number, message="no request was sent")
    finally:
        switching.set()
        for thread in threads:
            thread.join()
    assert failed == []


def test_several_appliers_take_turns(balancer: Balancer) -> None:
    errors: list[Exception] = []

    def apply(percent: int) -> None:
        try:
            open_driver(balancer.settings()).apply(green(percent))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=apply, args=(percent,)) for percent in range(10, 60, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error for error in errors if "changing" not in str(error)] == []
    reading = balancer.driver.read()
    assert reading.split.percent["green"] in range(10, 60, 10)
    assert balancer.driver.check() == []


def test_a_dead_load_balancer_is_an_error_and_keeps_its_split(balancer: Balancer) -> None:
    balancer.driver.apply(green(30))
    balancer.stop()
    with pytest.raises(TrafficError, match="does not answer"):
        balancer.driver.apply(green(60))
    with pytest.raises(TrafficError, match="does not answer"):
        balancer.driver.read()
    assert balancer.driver.check() != []
    balancer.start()
    assert balancer.driver.read().split == green(30)
    assert balancer.driver.apply(green(60)).before == green(30)


def test_a_change_of_instances_is_installed_and_keeps_the_split(
    balancer: Balancer, apps: StandIns
) -> None:
    balancer.driver.apply(green(100, **{"7": "blue"}))
    gone = apps.instances["green"][1]
    text = balancer.toml.read_text().replace(f', "1" = "{gone.address}"', "")
    assert text != balancer.toml.read_text()
    balancer.toml.write_text(text)
    driver = open_driver(balancer.settings())
    assert any("install" in problem for problem in driver.check())
    assert driver.install() != []
    assert (driver.check(), driver.install()) == ([], [])
    assert driver.read().split == green(100, **{"7": "blue"})
    apps.stop_instance(gone)
    balancer.settle()
    assert {balancer.get("/").body["instance"] for _ in range(20)} == {"0"}


def test_an_instance_that_is_down_fails_no_request(balancer: Balancer, apps: StandIns) -> None:
    apps.stop_instance(apps.instances["blue"][0])
    answers = [balancer.send(m, "/", {}, None) for m in ("GET", "POST") for _ in range(10)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.body["instance"] for answer in answers} == {"1"}


def test_the_app_learns_the_client_and_not_what_the_client_claims(balancer: Balancer) -> None:
    headers = balancer.get(
        "/",
        X_Forwarded_For="6.6.6.6",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Prefix="/evil",
        X_Real_IP="6.6.6.6",
        Forwarded="for=6.6.6.6",
        Host="mina.example",
    ).body["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert (headers["host"], headers["x-forwarded-host"]) == ("mina.example", "mina.example")
    assert "forwarded" not in headers
    assert "x-forwarded-prefix" not in headers
    assert headers["x-real-ip"] == "127.0.0.1"


def test_a_first_visit_gets_the_cookie_that_keeps_it_on_its_colour(balancer: Balancer) -> None:
    balancer.driver.apply(green(50))
    for number in range(12):
        first = balancer.get("/", User_Agent=f"browser {number}")
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "Secure" not in cookie
        key = cookie.partition(";")[0]
        again = [balancer.get("/", Cookie=key) for _ in range(3)]
        assert {answer.colour for answer in again} == {first.colour}
        assert all("set-cookie" not in answer.headers for answer in again)


def test_first_visits_are_shared_out_as_told(balancer: Balancer) -> None:
    balancer.driver.apply(green(50))
    colours = [balancer.get("/", User_Agent=f"browser {n}").colour for n in range(100)]
    assert 25 <= colours.count("green") <= 75


def test_a_request_has_an_id_that_app_and_client_both_see(balancer: Balancer) -> None:
    own = balancer.get("/")
    assert own.headers["x-request-id"] == own.body["headers"]["x-request-id"]
    given = balancer.get("/", X_Request_ID="trace-0123456789")
    assert given.headers["x-request-id"] == "trace-0123456789"
    assert given.body["headers"]["x-request-id"] == "trace-0123456789"
    assert balancer.get("/", X_Request_ID='"<x>').headers["x-request-id"] != '"<x>'
