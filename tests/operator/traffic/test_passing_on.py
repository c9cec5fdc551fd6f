"""Who meets which colour when one refuses, dies or is not ready; on every real load balancer."""

from __future__ import annotations

import time

import pytest

from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer, sid_of, tag_of
from tests.operator.stand_in import StandIns
from tests.support.wait import eventually

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
# Stock websocket clients send both; the stand-in does not look at the key.
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"


def share(balancer: Balancer, green: int) -> None:
    balancer.driver.apply(Split({"blue": 100 - green, "green": green}))


def met(apps: StandIns, colour: str) -> int:
    """Requests of visitors that reached a colour; probes are none."""
    return sum(
        count
        for one in apps.instances[colour]
        for path, count in one.seen.items()
        if not path.startswith("/api/health")
    )


def handshakes(balancer: Balancer, count: int = 20) -> list[str]:
    """The tags of so many new sessions; a status where there is none."""
    answers = [balancer.get(HANDSHAKE, User_Agent=f"browser {n}") for n in range(count)]
    return [tag_of(sid_of(a)) if a.status == 200 else str(a.status) for a in answers]


@pytest.mark.parametrize("reason", ["full", "leaving"])
def test_a_colour_without_share_takes_nobody_whom_a_full_or_leaving_one_refuses(
    balancer: Balancer, apps: StandIns, reason: str
) -> None:
    apps.fleets["blue"].refusing = reason
    assert set(handshakes(balancer)) == {"503"}
    assert balancer.send("GET", WEBSOCKET, UPGRADE).status == 503
    assert met(apps, "green") == 0


def test_the_other_instance_takes_whom_a_full_one_refuses(
    balancer: Balancer, apps: StandIns
) -> None:
    apps.instances["blue"][0].refusing = "full"
    assert set(handshakes(balancer)) == {"blue.1"}
    assert apps.instances["blue"][0].seen["/socket.io/"] > 0
    assert met(apps, "green") == 0


def test_a_colour_without_share_meets_nobody_when_the_other_is_dead(
    balancer: Balancer, apps: StandIns
) -> None:
    apps.stop_instance(apps.instances["blue"][0])
    balancer.settle()
    assert set(handshakes(balancer)) == {"blue.1"}
    apps.stop_instance(apps.instances["blue"][1])
    balancer.settle()
    assert set(handshakes(balancer)) <= {"502", "503", "504"}
    assert balancer.get("/").status in (502, 503, 504)
    assert met(apps, "green") == 0


def test_while_both_have_a_share_each_takes_whom_the_other_refuses(
    balancer: Balancer, apps: StandIns
) -> None:
    share(balancer, 10)
    apps.fleets["blue"].refusing = "full"
    assert {tag.partition(".")[0] for tag in handshakes(balancer)} == {"green"}
    apps.fleets["blue"].refusing, apps.fleets["green"].refusing = "", "full"
    share(balancer, 90)
    assert {tag.partition(".")[0] for tag in handshakes(balancer)} == {"blue"}
    share(balancer, 100)
    assert set(handshakes(balancer)) == {"503"}


def test_a_colour_that_is_not_ready_gets_no_session_at_any_share(
    balancer: Balancer, apps: StandIns
) -> None:
    share(balancer, 50)
    for one in apps.instances["green"]:
        one.ready = False
    eventually(lambda: {tag[:4] for tag in handshakes(balancer)} == {"blue"})
    share(balancer, 0)
    apps.fleets["blue"].drain = {"state": "draining"}
    eventually(lambda: set(handshakes(balancer)) <= {"503", "504"})
    for one in apps.instances["green"]:
        one.ready = True
    eventually(lambda: {tag[:5] for tag in handshakes(balancer)} == {"green"})


def test_a_colour_that_has_all_visitors_keeps_them_although_it_is_not_ready(
    balancer: Balancer, apps: StandIns
) -> None:
    for one in apps.instances["blue"]:
        one.ready = False
    for _ in range(3):
        assert {tag[:4] for tag in handshakes(balancer)} == {"blue"}
    assert balancer.get("/").colour == "blue"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_kills_its_process_kills_one(
    balancer: Balancer, apps: StandIns, method: str
) -> None:
    assert balancer.send(method, "/die", {}).status in (502, 503)
    assert sum(one.seen["/die"] for one in apps.all()) == 1


def test_a_request_that_is_too_slow_is_sent_once(balancer: Balancer, apps: StandIns) -> None:
    balancer.add_option("read_timeout_seconds = 1")
    # A reload may leave the process of before to take a last request.
    eventually(lambda: balancer.get("/hang").status in (502, 504))
    before = sum(one.seen["/hang"] for one in apps.all())
    began = time.monotonic()
    assert balancer.get("/hang").status in (502, 504)
    assert sum(one.seen["/hang"] for one in apps.all()) == before + 1
    assert time.monotonic() - began < 25, "as long as the app, which answers after 30 s"
    apps.cut()


def test_a_tester_reaches_a_colour_without_share_and_nobody_guesses_how(
    balancer: Balancer, apps: StandIns
) -> None:
    secret = balancer.folder / "secret"
    secret.write_text("a secret of the tests")
    balancer.add_option(f'tester_secret_file = "{secret}"')
    value = balancer.options().tester_secret.values(["blue", "green"])["green"]
    assert balancer.get("/", Cookie=f"mina_tester={value}").colour == "green"
    answer = balancer.get("/", X_Mina_Tester=value)
    assert (answer.colour, "x-mina-tester" in answer.body["headers"]) == ("green", False)
    for guess in (value[:-1], value + "0", value.upper(), "green"):
        assert balancer.get("/", X_Mina_Tester=guess).colour == "blue"
        assert balancer.get("/", Cookie=f"mina_tester={guess}").colour == "blue"


@pytest.mark.parametrize("dead", ["blue", "green"])
def test_a_drain_hands_every_session_on_although_an_instance_has_died(
    balancer: Balancer, apps: StandIns, dead: str
) -> None:
    apps.stop_instance(apps.instances[dead][0])
    apps.fleets["blue"].drain = {"state": "draining"}
    # Until probes have noticed, where there are any.
    eventually(lambda: all(tag.startswith("green.") for tag in handshakes(balancer, 6)), 10)
    assert {tag.partition(".")[0] for tag in handshakes(balancer)} == {"green"}
    assert (balancer.get("/").status, balancer.get("/").colour) == (200, "blue")
