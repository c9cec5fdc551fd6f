"""What a look reads of a real colour."""

from __future__ import annotations

import json
from contextlib import closing

import httpx

from mina_ops.operator.api.client import AppClient
from mina_ops.operator.release.verdicts.figures import figures
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Handshakes, Verdict
from tests.operator.release.stand import TOKEN, Stand
from tests.support.wait import eventually

OUTDATED = {"EIO": "3", "transport": "polling"}
CURRENT = {"EIO": "4", "transport": "polling"}


def test_a_loop_of_one_outdated_client_fails_nothing_and_many_fail_the_release(
    stand: Stand,
) -> None:
    with (
        httpx.Client(base_url=stand.colours["green"].url, timeout=10) as http,
        closing(AppClient("green", stand.colours["green"].url, token=TOKEN)) as green,
    ):
        for _ in range(100):
            _connect(http)
        for _ in range(40):
            _shake_hands(http, OUTDATED, "203.0.113.7", 400)
        shaken = _handshakes(green, refused=40)
        assert (shaken.accepted, shaken.failed, shaken.clients) == (100, 0, 1)
        assert _websocket_verdict(shaken) is Verdict.PASS
        for number in range(40):
            _shake_hands(http, OUTDATED, f"192.0.2.{number}", 400)
        shaken = _handshakes(green, refused=80)
        assert shaken.clients is not None
        assert 30 <= shaken.clients <= 50
        assert _websocket_verdict(shaken) is Verdict.FAIL


def _connect(http: httpx.Client) -> None:
    """A session that joins the namespace /, as every client of today does, and leaves."""
    opened = http.get("/socket.io/", params=CURRENT).text
    query = {**CURRENT, "sid": json.loads(opened[1:])["sid"]}
    for packet in ("40", "1"):
        assert http.post("/socket.io/", params=query, content=packet).status_code == 200


def _shake_hands(http: httpx.Client, query: dict[str, str], client: str, status: int) -> None:
    headers = {"X-Forwarded-For": client}
    assert http.get("/socket.io/", params=query, headers=headers).status_code == status


def _handshakes(green: AppClient, refused: int) -> Handshakes:
    found: Figures = eventually(
        lambda: next(
            (one for one in [figures(green, 60)] if one.handshakes.refused >= refused), None
        ),
        10,
        "the handshakes are not counted",
    )
    return found.handshakes


def _websocket_verdict(shaken: Handshakes) -> Verdict:
    judged = judge(Figures(seconds=60, handshakes=shaken), Figures(seconds=60))
    return next(one.verdict for one in judged.findings if one.trigger == "websocket_success")
