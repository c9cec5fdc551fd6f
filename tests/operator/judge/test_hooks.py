"""The gates and the drain of the judge, and who gets in."""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing

import httpx
import pytest

from mina_ops.operator.judge import server
from tests.operator.judge.conftest import GATE_TOKEN, Judge, die, judging, well
from tests.operator.stand_in import StandIns
from tests.support.wait import eventually

BEARER = {"Authorization": f"Bearer {GATE_TOKEN}"}


def post(judge: Judge, path: str, **body: object) -> httpx.Response:
    return httpx.post(f"{judge.url}{path}", headers=BEARER, json=body, timeout=10)


def test_traffic_grows_only_on_a_pass(judge: Judge) -> None:
    gates = [f"/hooks/{g}" for g in ("rollout", "confirm-traffic-increase", "confirm-promotion")]
    assert [post(judge, gate).status_code for gate in gates] == [200, 200, 200]
    judge.green.metrics["errors"] = {}
    answers = [post(judge, gate) for gate in gates]
    assert [a.status_code for a in answers] == [503, 503, 503]
    assert {a.headers["Retry-After"] for a in answers} == {"5"}
    well(judge.green, errors=400)
    answer = post(judge, gates[0])
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("fail: ")


def test_a_first_share_needs_readiness_alone_and_the_second_needs_a_pass(judge: Judge) -> None:
    """Flagger asks for leave before the first share too, when nobody can have been there."""
    gate = "/hooks/confirm-traffic-increase"
    judge.green.metrics = {}
    # It was there before the judge was: nobody knows which share this is.
    assert post(judge, gate).status_code == 503
    judge.green.version = "v3.0.0"
    for instance in judge.apps.instances["green"]:
        instance.ready = False
    assert post(judge, gate).status_code == 503
    judge.apps.instances["green"][0].ready = True
    answer = post(judge, gate)
    assert (answer.status_code, answer.json()["first_share"]) == (200, True)
    assert answer.json()["verdict"] == "inconclusive"
    assert [post(judge, gate).status_code for _ in range(3)] == [503, 503, 503]
    well(judge.green)
    assert post(judge, gate).status_code == 200


def test_two_versions_that_answer_in_turn_get_one_first_share_each(judge: Judge) -> None:
    assert post(judge, "/hooks/rollout").status_code == 200
    judge.green.metrics = {}
    answers = []
    for version in ("v3", "v4", "v3", "v4", "v3"):
        judge.green.version = version
        answers.append(post(judge, "/hooks/confirm-traffic-increase").status_code)
    assert answers == [200, 200, 503, 503, 503]


def test_a_version_that_is_bad_at_once_gets_no_first_share(judge: Judge) -> None:
    assert post(judge, "/hooks/rollout").status_code == 200
    well(judge.green, errors=400)
    judge.green.version = "v3.0.0"
    assert post(judge, "/hooks/confirm-traffic-increase").status_code == 409


def test_a_rollback_is_asked_for_only_on_a_fail_and_lets_the_old_colour_serve(
    judge: Judge,
) -> None:
    assert post(judge, "/hooks/rollback").status_code == 409
    judge.green.metrics["errors"] = {}
    assert post(judge, "/hooks/rollback").status_code == 409
    judge.blue.drain = {"state": "draining"}
    well(judge.green, errors=400)
    answer = post(judge, "/hooks/rollback")
    assert answer.status_code == 200
    assert answer.json()["old_state"] == "serving"
    assert judge.blue.drain["state"] == "serving"


def test_a_drain_is_ordered_once_and_says_yes_when_nobody_is_left(judge: Judge) -> None:
    judge.blue.counts = [7, 7, 3, 0]
    first = post(judge, "/drain", grace_seconds=20)
    assert (first.status_code, first.json()["active_connections"]) == (503, 7)
    assert judge.blue.drain == {"state": "draining", "grace_seconds": 20}
    watched = httpx.get(f"{judge.url}/drain", headers=BEARER)
    assert watched.status_code == 503
    assert "draining, 7 live connections" in watched.json()["detail"]
    answer = eventually(
        lambda: next(
            (a for a in [httpx.get(f"{judge.url}/drain", headers=BEARER)] if a.is_success), None
        )
    )
    assert answer.json()["state"] == "drained"
    cancelled = httpx.delete(f"{judge.url}/drain", headers=BEARER)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "serving")


@pytest.mark.parametrize("grace", [-1, 86401, "30", True])
def test_a_grace_that_makes_no_sense_orders_nothing(judge: Judge, grace: object) -> None:
    answer = post(judge, "/drain", grace_seconds=grace)
    assert answer.status_code == 400
    assert judge.blue.drain == {"state": "serving"}


def test_nobody_is_drained_while_the_new_colour_takes_nobody(judge: Judge) -> None:
    for instance in judge.apps.instances["green"]:
        instance.ready = False
    assert post(judge, "/drain").status_code == 409
    die(judge.apps, "green")
    assert post(judge, "/drain").status_code == 409
    assert judge.blue.drain == {"state": "serving"}


def test_nobody_is_drained_into_itself(judge: Judge) -> None:
    judge.green.colour = "blue"
    answer = post(judge, "/drain")
    assert (answer.status_code, judge.blue.drain) == (409, {"state": "serving"})
    assert "both answer as blue" in answer.json()["detail"]


def test_flagger_is_told_why_it_must_not_drain_its_primary(judge: Judge) -> None:
    flagger = {"name": "mina", "namespace": "prod", "phase": "Progressing", "checksum": "1"}
    answer = post(judge, "/drain", **flagger)
    assert answer.status_code == 409
    assert "SIGTERM" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({"Authorization": "Bearer wrong"}, {}),
        ({"Authorization": f"Basic {GATE_TOKEN}"}, {}),
        ({}, {"metadata": {"token": "wrong"}}),
        ({}, {"metadata": [GATE_TOKEN]}),
        ({"Authorization": "Bearer wrong"}, {"metadata": {"token": GATE_TOKEN}}),
    ],
)
def test_without_its_token_nobody_learns_or_does_anything(
    judge: Judge, headers: dict[str, str], body: dict[str, object]
) -> None:
    for path in ("/verdict", "/hooks/rollback", "/drain", "/nowhere"):
        answer = httpx.post(f"{judge.url}{path}", headers=headers, json=body)
        assert answer.status_code == 401
        assert "reasons" not in answer.json()
    assert httpx.get(f"{judge.url}/health").json() == {"status": "healthy"}
    assert GATE_TOKEN not in json.dumps(judge.told)


def test_the_token_may_stand_in_the_metadata_as_flagger_sends_it(judge: Judge) -> None:
    body = {"metadata": {"token": GATE_TOKEN}}
    assert httpx.post(f"{judge.url}/hooks/rollout", json=body).status_code == 200


@pytest.mark.parametrize("who", [{"Origin": "http://evil"}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_page_in_a_browser_may_order_nothing(apps: StandIns, who: dict[str, str]) -> None:
    with judging(apps, token=None) as judge:
        assert httpx.post(f"{judge.url}/drain", headers=who).status_code == 403
    assert apps.fleets["blue"].drain == {"state": "serving"}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /verdict HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", b"413"),
        (b"POST /verdict HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /verdict HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"411"),
        (b"POST /verdict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /verdict HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]", b"400"),
        (b"POST /verdict HTTP/1.1\r\nContent-Length: 2\r\n\r\n{x", b"400"),
        (b"BREW /verdict HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
    ],
)
def test_a_request_that_makes_no_sense_gets_a_status(
    judge: Judge, request_: bytes, status: bytes
) -> None:
    port = int(judge.url.rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        connection.sendall(request_)
        assert connection.recv(100).split(b" ")[1] == status


def test_who_drips_or_holds_connections_keeps_nobody_out_for_long(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1.0)
    port = int(judge.url.rpartition(":")[2])
    held = [
        socket.create_connection(("127.0.0.1", port), timeout=10)
        for _ in range(server.MOST_CONNECTIONS)
    ]
    for connection in held:
        connection.sendall(b"GET /hea")
    full = eventually(
        lambda: next(
            (a for a in [httpx.get(f"{judge.url}/health", timeout=10)] if a.status_code == 503),
            None,
        )
    )
    assert full.headers["Retry-After"] == "5"
    began = time.monotonic()
    eventually(lambda: httpx.get(f"{judge.url}/health", timeout=10).status_code == 200)
    assert time.monotonic() - began < 20
    for connection in held:
        connection.close()


def test_each_answer_is_told_once_with_what_it_said(judge: Judge) -> None:
    post(judge, "/hooks/rollout")
    entry = eventually(lambda: judge.told[-1] if judge.told else None)
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/hooks/rollout", 200)
    assert (entry["verdict"], entry["client"]) == ("pass", "127.0.0.1")
